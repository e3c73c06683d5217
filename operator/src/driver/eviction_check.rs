//! Checks whether Redis may evict keys, and so is not fit for a sale.

use flashsale_engine::Admin;
use flashsale_engine::postgres::operations::Postgres;
use flashsale_engine::redis::commands::Redis;
use jiff::{SignedDuration, Timestamp};

use crate::backends::ActionError;

/// How often the eviction policy is checked.
const CHECK_EVERY: SignedDuration = SignedDuration::from_secs(10);

/// The last check: when it was, and why Redis was not fit.
#[derive(Default)]
pub(super) struct EvictionCheck {
    last: Option<(Timestamp, Option<String>)>,
}

impl EvictionCheck {
    /// Why Redis was not fit at the last check; `None`: it was, or there was no check.
    pub(super) fn fault(&self) -> Option<String> {
        self.last.as_ref().and_then(|(_, fault)| fault.clone())
    }

    /// Checks again, if the last check is too old.
    pub(super) async fn check_if_due<R: Redis, P: Postgres>(
        &mut self,
        admin: &Admin<R, P>,
        now: Timestamp,
    ) -> Result<(), ActionError> {
        let is_due = |at: Timestamp| now.duration_since(at).abs() >= CHECK_EVERY;
        if self.last.as_ref().is_none_or(|(at, _)| is_due(*at)) {
            self.last = Some((now, admin.eviction_fault().await?));
        }
        Ok(())
    }
}
