//! Releases items that Redis holds as sold and Postgres does not.

use crate::domain::error::BackendError;
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;

/// Releases items of a closed sale and returns how many.
pub(crate) async fn release(
    redis: &impl Redis,
    keys: &SaleKeys,
    items: &[u32],
) -> Result<i64, BackendError> {
    super::RELEASE
        .call(redis, &[&keys.meta, &keys.sold], |command| {
            command.arg(items);
        })
        .await
}
