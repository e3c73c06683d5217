//! Checks while a process serves whether a setting of Redis makes a fault worse than it has to be.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::redis::commands::Redis;
use crate::redis::full_coverage::full_coverage_warning;
use crate::redis::restart_detection::restart_detection_warning;

/// How often the settings are read.
const CHECK_EVERY: Duration = Duration::from_secs(30);

/// The result of the last check.
#[derive(Debug, Default)]
pub(crate) struct SettingsCheck {
    warnings: ArcSwap<Vec<String>>,
}

impl SettingsCheck {
    /// What should be set otherwise, and why; nothing of a setting that is unknown.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.load().as_ref().clone()
    }

    /// Checks again and again until `stop`; a log line for each new warning.
    pub(crate) async fn run(&self, redis: &impl Redis, stop: &CancellationToken) {
        loop {
            let found = [
                full_coverage_warning(redis).await,
                restart_detection_warning(redis).await,
            ];
            let found: Vec<String> = found.into_iter().flatten().collect();
            let before = self.warnings.load();
            for warning in found.iter().filter(|warning| !before.contains(warning)) {
                tracing::warn!(warning, "a setting of Redis should be changed");
            }
            self.warnings.store(Arc::new(found));
            tokio::select! {
                () = tokio::time::sleep(CHECK_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}
