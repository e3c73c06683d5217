//! Freezes the cart of a code for its purchase.

use crate::domain::cart::Cart;
use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::redis::commands::Redis;
use crate::redis::keys::PartitionKeys;

/// Freezes the cart of a code and returns it; none for a code that the partition does not hold.
pub(crate) async fn freeze(
    redis: &impl Redis,
    keys: &PartitionKeys,
    suffix: &CodeSuffix,
) -> Result<Option<Cart>, BackendError> {
    let touched = [keys.meta.as_str(), &keys.carts, &keys.codes];
    let cart: Option<(String, String)> = super::FREEZE
        .of(keys.format)
        .call(redis, &touched, |command| {
            command.arg(suffix.as_str());
        })
        .await?;
    Ok(cart.map(|(user, items)| Cart { user, items }))
}
