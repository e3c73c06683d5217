//! What Redis holds of a sale, beside what scripts decide: whether it is whole, the sold bitmap, and
//! its deletion.

use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::domain::outcome::Outcome;
use crate::domain::sale::{FlashSaleName, Sale, SaleId};
use crate::redis::codec::Format;
use crate::redis::commands::{Redis, call};
use crate::redis::keys::{PartitionKeys, SaleKeys, refusals};
use crate::redis::registry;

/// Whether Redis holds the whole sale.
pub(crate) async fn is_whole(
    redis: &impl Redis,
    sale: &Sale,
    format: Format,
) -> Result<bool, BackendError> {
    if !is_ready(redis, "registry", &SaleKeys::new(&sale.id, format).meta).await? {
        return Ok(false);
    }
    for keys in PartitionKeys::of_sale(&sale.id, sale.partitions, format) {
        if !is_ready(redis, "registry", &keys.meta).await? {
            return Ok(false);
        }
    }
    registry::contains(redis, &sale.id).await
}

/// Whether the sale or the partition of this hash is ready.
pub(crate) async fn is_ready(
    redis: &impl Redis,
    operation: &'static str,
    meta: &str,
) -> Result<bool, BackendError> {
    let mut command = redis::cmd("HEXISTS");
    command.arg(meta).arg("ready");
    call(redis, operation, meta, &command).await
}

/// Epoch and number of the last event of a sale.
pub(crate) async fn position(
    redis: &impl Redis,
    keys: &SaleKeys,
) -> Result<(String, u64), BackendError> {
    type Answer = (Option<u16>, Option<String>, Option<u64>);
    let mut command = redis::cmd("HMGET");
    command.arg(&keys.meta).arg("ready").arg("epoch").arg("seq");
    let (ready, epoch, seq): Answer = call(redis, "feed", &keys.meta, &command).await?;
    match (ready, epoch) {
        (Some(_), Some(epoch)) => Ok((epoch, seq.unwrap_or_default())),
        _ => Err(BackendError::Unseeded),
    }
}

/// The bitmap of sold items; bits count from the highest of the first byte.
pub(crate) async fn sold_bitmap(
    redis: &impl Redis,
    keys: &SaleKeys,
) -> Result<Vec<u8>, BackendError> {
    let mut command = redis::cmd("GET");
    command.arg(&keys.sold);
    let bitmap: Option<Vec<u8>> = call(redis, "settle", &keys.sold, &command).await?;
    Ok(bitmap.unwrap_or_default())
}

/// The outcome that Redis holds of a code.
pub(crate) async fn read_outcome(
    redis: &impl Redis,
    keys: &SaleKeys,
    suffix: &CodeSuffix,
) -> Result<Option<Outcome>, BackendError> {
    let mut command = redis::cmd("HGET");
    command.arg(&keys.outcomes).arg(suffix.as_str());
    let text: Option<String> = call(redis, "repair", &keys.outcomes, &command).await?;
    text.map(|text| keys.format.decode_outcome(&text))
        .transpose()
}

/// The outcomes that Redis holds of these codes.
pub(crate) async fn read_outcomes(
    redis: &impl Redis,
    keys: &SaleKeys,
    suffixes: &[CodeSuffix],
) -> Result<Vec<(CodeSuffix, Outcome)>, BackendError> {
    if suffixes.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = redis::cmd("HMGET");
    command.arg(&keys.outcomes);
    for suffix in suffixes {
        command.arg(suffix.as_str());
    }
    let texts: Vec<Option<String>> = call(redis, "restore", &keys.outcomes, &command).await?;
    let found = suffixes.iter().zip(texts);
    let decode = |(suffix, text): (&CodeSuffix, Option<String>)| {
        Some(keys.format.decode_outcome(&text?).map(|o| (*suffix, o)))
    };
    found.filter_map(decode).collect()
}

/// Takes a sale out of the registry and deletes its keys.
pub(crate) async fn delete_sale(
    redis: &impl Redis,
    sale: &SaleId,
    partitions: u16,
    format: Format,
) -> Result<(), BackendError> {
    registry::remove(redis, sale).await?;
    unlink(redis, "registry", &SaleKeys::new(sale, format).all()).await?;
    for keys in PartitionKeys::of_sale(sale, partitions, format) {
        unlink(redis, "registry", &keys.all()).await?;
    }
    Ok(())
}

/// Deletes the refused attempts of a FlashSale.
pub(crate) async fn delete_refusals(
    redis: &impl Redis,
    flash_sale: &FlashSaleName,
) -> Result<(), BackendError> {
    for stream in refusals(flash_sale) {
        unlink(redis, "registry", &[&stream]).await?;
    }
    Ok(())
}

async fn unlink(
    redis: &impl Redis,
    operation: &'static str,
    keys: &[&str],
) -> Result<(), BackendError> {
    let mut command = redis::cmd("UNLINK");
    command.arg(keys);
    call::<i64>(redis, operation, keys[0], &command)
        .await
        .map(drop)
}
