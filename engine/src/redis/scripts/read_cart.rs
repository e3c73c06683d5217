//! Reads the cart of a code without changing it.

use crate::domain::cart::Cart;
use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::redis::commands::Redis;
use crate::redis::keys::PartitionKeys;

/// The cart of a code, open or frozen; none for a code that the partition does not hold.
pub(crate) async fn read_cart(
    redis: &impl Redis,
    keys: &PartitionKeys,
    suffix: &CodeSuffix,
) -> Result<Option<Cart>, BackendError> {
    let touched = [keys.meta.as_str(), &keys.carts, &keys.codes];
    let cart: Option<(String, String)> = super::READ_CART
        .of(keys.format)
        .call(redis, &touched, |command| {
            command.arg(suffix.as_str());
        })
        .await?;
    Ok(cart.map(|(user, items)| Cart { user, items }))
}
