//! A lease, for as long as it is its holder's.

use std::time::Duration;

use crate::domain::error::BackendError;
use crate::redis::commands::Redis;

/// Lets the lease of this token last so long from now on; [`Duration::ZERO`] ends it. Returns whether
/// the lease is the one of this token.
pub(crate) async fn extend_lease(
    redis: &impl Redis,
    key: &str,
    token: &str,
    lasts: Duration,
) -> Result<bool, BackendError> {
    let lasts_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
    super::EXTEND_LEASE
        .call(redis, &[key], |command| {
            command.arg(token).arg(lasts_ms);
        })
        .await
}
