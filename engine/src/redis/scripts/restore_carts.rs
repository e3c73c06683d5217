//! Restores carts that Redis lost.

use crate::domain::cart::LoggedCart;
use crate::domain::error::BackendError;
use crate::redis::commands::Redis;
use crate::redis::keys::PartitionKeys;

/// Restores carts of one partition; what is there stays as it is.
pub(crate) async fn restore_carts(
    redis: &impl Redis,
    keys: &PartitionKeys,
    carts: &[LoggedCart],
) -> Result<(), BackendError> {
    super::RESTORE_CARTS
        .of(keys.format)
        .call::<i64>(redis, &[&keys.carts, &keys.codes], |command| {
            for LoggedCart {
                suffix,
                cart,
                is_latest,
            } in carts
            {
                command
                    .arg(suffix.as_str())
                    .arg(&cart.user)
                    .arg(&cart.items)
                    .arg(if *is_latest { "o" } else { "f" });
            }
        })
        .await
        .map(drop)
}
