//! Reads everything that a sale view starts from, of one moment.

use std::collections::HashMap;

use redis::Value;

use crate::domain::error::BackendError;
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;

/// What the sale's slot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Counts how often the sale's state was restored; a random text of each restoration.
    pub epoch: String,
    /// The number of the last event.
    pub seq: u64,
    /// The id of the last event's entry.
    pub last_id: String,
    /// Sold items; bits count from the highest of the first byte.
    pub bitmap: Vec<u8>,
    /// How many items each buyer has.
    pub buyers: HashMap<String, u32>,
}

/// Takes a snapshot of the sale's slot.
pub(crate) async fn snapshot(
    redis: &impl Redis,
    keys: &SaleKeys,
) -> Result<Snapshot, BackendError> {
    type Head = (String, u64, String, u32, Vec<u8>);
    let touched = [keys.meta.as_str(), &keys.sold, &keys.bought];
    let mut head: Vec<Value> = super::SNAPSHOT.call(redis, &touched, |_| {}).await?;
    let slots = head.split_off(head.len().min(5));
    let bad = |error: redis::ParsingError| {
        BackendError::unexpected(
            "answer of snapshot.lua",
            "5 parts, then users with their slots",
            error.to_string(),
        )
    };
    let (epoch, seq, last_id, _sold, bitmap): Head =
        redis::from_redis_value(Value::Array(head)).map_err(bad)?;
    let slots: Vec<String> = redis::from_redis_value(Value::Array(slots)).map_err(bad)?;
    let taken = |slots: &str| slots.bytes().filter(|b| *b == b'1').count() as u32;
    let buyers = slots
        .chunks_exact(2)
        .map(|pair| (pair[0].clone(), taken(&pair[1])))
        .collect();
    Ok(Snapshot {
        epoch,
        seq,
        last_id,
        bitmap,
        buyers,
    })
}
