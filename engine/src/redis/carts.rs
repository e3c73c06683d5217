//! Reads carts without changing them.

use crate::domain::cart::Cart;
use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::redis::codec::CodeEntry;
use crate::redis::commands::{Redis, call};
use crate::redis::keys::PartitionKeys;
use crate::redis::sale_state::is_ready;

const OPERATION: &str = "freeze";

/// The cart of a code, open or frozen; none for a code that the partition does not hold.
pub(crate) async fn read(
    redis: &impl Redis,
    keys: &PartitionKeys,
    suffix: &CodeSuffix,
) -> Result<Option<Cart>, BackendError> {
    // Between the two reads the cart may be frozen; a frozen cart never changes.
    match try_read(redis, keys, suffix).await? {
        Some(cart) => Ok(Some(cart)),
        None => try_read(redis, keys, suffix).await,
    }
}

async fn try_read(
    redis: &impl Redis,
    keys: &PartitionKeys,
    suffix: &CodeSuffix,
) -> Result<Option<Cart>, BackendError> {
    let Some(code) = field(redis, &keys.codes, suffix.as_str()).await? else {
        // A partition that Redis lost holds no code, which says nothing about this one.
        return match is_ready(redis, OPERATION, &keys.meta).await? {
            true => Ok(None),
            false => Err(BackendError::Unseeded),
        };
    };
    match keys.format.decode_code(&code)? {
        CodeEntry::Frozen { user, items } => Ok(Some(Cart { user, items })),
        CodeEntry::Open { user } => {
            let Some(cart) = field(redis, &keys.carts, &user).await? else {
                return Ok(None);
            };
            let (open, items) = keys.format.decode_cart(&cart)?;
            Ok((open == *suffix).then_some(Cart { user, items }))
        }
    }
}

async fn field(redis: &impl Redis, key: &str, field: &str) -> Result<Option<String>, BackendError> {
    let mut command = redis::cmd("HGET");
    command.arg(key).arg(field);
    call(redis, OPERATION, key, &command).await
}
