//! Closes a sale, or one of its cart partitions.

use std::time::Duration;

use crate::domain::error::BackendError;
use crate::redis::commands::Redis;

/// When a sale may be closed in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseWhen {
    /// Once its window has ended, by the clock of Redis, which decides who buys.
    Ended,
    /// Now, whatever its window says.
    Now,
}

/// Closes what the hash `meta` describes. Returns for how long its window is still open, where that
/// kept it from being closed. What Redis does not hold sells nothing, and counts as closed.
pub(crate) async fn close(
    redis: &impl Redis,
    meta: &str,
    when: CloseWhen,
) -> Result<Option<Duration>, BackendError> {
    let when = match when {
        CloseWhen::Ended => "ended",
        CloseWhen::Now => "now",
    };
    let open_ms: u64 = super::CLOSE
        .call(redis, &[meta], |command| {
            command.arg(when);
        })
        .await?;
    Ok((open_ms > 0).then(|| Duration::from_millis(open_ms)))
}
