//! Reads what a sale view starts from: the sold items of one moment, and the buyers.
//!
//! Guarantees: no call takes longer with the number of buyers, whose slots are read page by page
//! while events go on. Each buyer has the number of the last event that the slots hold, so that
//! later events count once.

use std::collections::HashMap;

use crate::domain::error::BackendError;
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;

/// About how many buyers one call reads.
const PAGE: usize = 1_000;

/// What the sale's slot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// A random text of each restoration of the sale's state.
    pub epoch: String,
    /// The number of the last event that the bitmap holds.
    pub seq: u64,
    /// The id of that event's entry.
    pub last_id: String,
    /// Sold items; bits count from the highest of the first byte.
    pub bitmap: Vec<u8>,
    /// What each user has bought. One who buys for the first time while buyers are read may be
    /// missing: the events behind `seq` have all that such a user bought.
    pub buyers: HashMap<String, Buyer>,
}

/// What a user has bought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Buyer {
    /// How many items.
    pub items: u32,
    /// The number of the last event that a snapshot counted; later ones are not in `items` unless
    /// they were added since.
    pub as_of: u64,
}

/// Takes a snapshot of the sale's slot. None where the sale was restored meanwhile, or a master took
/// over that lacks events.
pub(crate) async fn snapshot(
    redis: &impl Redis,
    keys: &SaleKeys,
) -> Result<Option<Snapshot>, BackendError> {
    let touched = [keys.meta.as_str(), &keys.sold];
    let (epoch, seq, last_id, bitmap) = super::SNAPSHOT.call(redis, &touched, |_| {}).await?;
    let mut snapshot = Snapshot {
        epoch,
        seq,
        last_id,
        bitmap,
        buyers: HashMap::new(),
    };
    let mut cursor = 0;
    loop {
        let page = read_buyers(redis, keys, cursor).await?;
        if page.epoch != snapshot.epoch || page.seq < seq {
            return Ok(None);
        }
        for (user, slots) in page.buyers {
            let buyer = Buyer {
                items: slots.bytes().filter(|slot| *slot == b'1').count() as u32,
                as_of: page.seq,
            };
            snapshot.buyers.insert(user, buyer);
        }
        cursor = page.next;
        if cursor == 0 {
            return Ok(Some(snapshot));
        }
    }
}

struct BuyersPage {
    epoch: String,
    seq: u64,
    /// The cursor of the next page; 0 where there is none.
    next: u64,
    /// Users, and their slots with a `1` for each item.
    buyers: Vec<(String, String)>,
}

async fn read_buyers(
    redis: &impl Redis,
    keys: &SaleKeys,
    cursor: u64,
) -> Result<BuyersPage, BackendError> {
    let touched = [keys.meta.as_str(), &keys.bought];
    let page = super::READ_BUYERS.call(redis, &touched, |command| {
        command.arg(cursor).arg(PAGE);
    });
    let (epoch, seq, next, buyers) = page.await?;
    Ok(BuyersPage {
        epoch,
        seq,
        next,
        buyers,
    })
}
