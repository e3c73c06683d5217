//! Checks whether Redis may evict keys, and so is not fit for a sale.

use flashsale_engine::Admin;
use flashsale_engine::postgres::operations::Postgres;
use flashsale_engine::redis::commands::Redis;
use flashsale_engine::redis::eviction_policy::Eviction;
use jiff::{SignedDuration, Timestamp};

use crate::backends::ActionError;

/// How often the eviction policy is checked.
const CHECK_EVERY: SignedDuration = SignedDuration::from_secs(10);

/// The last check: when it was, and what it found.
#[derive(Default)]
pub(super) struct EvictionCheck {
    last: Option<(Timestamp, Eviction)>,
}

impl EvictionCheck {
    /// What the last check found; unknown before the first.
    pub(super) fn last(&self) -> Eviction {
        let last = self.last.as_ref();
        last.map_or(Eviction::Unknown, |(_, found)| found.clone())
    }

    /// Checks again, if the last check is too old.
    pub(super) async fn check_if_due<R: Redis, P: Postgres>(
        &mut self,
        admin: &Admin<R, P>,
        now: Timestamp,
    ) -> Result<(), ActionError> {
        let is_due = |at: Timestamp| now.duration_since(at).abs() >= CHECK_EVERY;
        if self.last.as_ref().is_none_or(|(at, _)| is_due(*at)) {
            self.last = Some((now, admin.eviction().await?));
        }
        Ok(())
    }
}
