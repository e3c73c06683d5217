//! Merges purchases that Postgres has into the sale's slot.

use crate::domain::error::BackendError;
use crate::domain::outcome::Purchase;
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;

/// Merges purchases; what is there stays as it is.
pub(crate) async fn restore_purchases(
    redis: &impl Redis,
    keys: &SaleKeys,
    purchases: &[Purchase],
) -> Result<(), BackendError> {
    let touched = [keys.meta.as_str(), &keys.sold, &keys.bought];
    super::RESTORE_PURCHASES
        .call::<i64>(redis, &touched, |command| {
            for purchase in purchases {
                command
                    .arg(purchase.idx)
                    .arg(&purchase.user)
                    .arg(purchase.user_slot)
                    .arg(purchase.sale_slot);
            }
        })
        .await
        .map(drop)
}
