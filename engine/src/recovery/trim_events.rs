//! Trims the event stream of a sale.
//!
//! Guarantees: an event is trimmed only behind Postgres.

use std::time::Duration;

use crate::domain::clock::Clock;
use crate::domain::error::BackendError;
use crate::redis::commands::Redis;
use crate::redis::streams;

/// How long events stay for slow readers after they are settled.
const KEEP_EVENTS: Duration = Duration::from_secs(60);

/// Trims events that are in Postgres and that no reader needs any more.
pub(crate) async fn trim_events(
    redis: &impl Redis,
    clock: &Clock,
    stream: &str,
) -> Result<(), BackendError> {
    let pending = streams::pending(redis, stream).await?;
    let old_ms = clock.now_ms() - KEEP_EVENTS.as_millis() as i64;
    let settled_ms = match pending.first {
        Some(id) => streams::entry_ms(&id),
        // Nothing pending: everything delivered is settled, but what was not delivered yet
        // is not. It is younger than the last delivery.
        None => streams::last_delivered_ms(redis, stream).await?,
    };
    streams::trim(redis, stream, old_ms.min(settled_ms)).await
}
