//! Checks while a process serves whether Redis goes on without some of its slots.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::redis::commands::Redis;
use crate::redis::full_coverage::full_coverage_warning;

/// How often the setting is read.
const CHECK_EVERY: Duration = Duration::from_secs(30);

/// The result of the last check.
#[derive(Debug, Default)]
pub(crate) struct CoverageCheck {
    warning: ArcSwap<Option<String>>,
}

impl CoverageCheck {
    /// Why a failed master would stop all slots; none where it would not, or where that is unknown.
    pub(crate) fn warning(&self) -> Option<String> {
        self.warning.load().as_ref().clone()
    }

    /// Checks again and again until `stop`; a log line at each change.
    pub(crate) async fn run(&self, redis: &impl Redis, stop: &CancellationToken) {
        loop {
            let warning = full_coverage_warning(redis).await;
            if let Some(warning) = &warning
                && self.warning().is_none()
            {
                tracing::warn!(warning, "Redis Cluster needs all of its slots");
            }
            self.warning.store(Arc::new(warning));
            tokio::select! {
                () = tokio::time::sleep(CHECK_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}
