//! Checks the eviction policy of Redis while a process serves.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::redis::commands::Redis;
use crate::redis::eviction_policy::eviction_fault;

/// How often the eviction policy is read.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// The result of the last check.
#[derive(Debug, Default)]
pub(crate) struct EvictionCheck {
    fault: ArcSwap<Option<String>>,
}

impl EvictionCheck {
    /// Why Redis is not fit for a sale, where the last check found it unfit.
    pub(crate) fn fault(&self) -> Option<String> {
        self.fault.load().as_ref().clone()
    }

    /// Checks again and again until `stop`.
    pub(crate) async fn run(&self, redis: &impl Redis, stop: &CancellationToken) {
        loop {
            match eviction_fault(redis).await {
                Ok(fault) => {
                    if let Some(fault) = &fault {
                        tracing::error!(fault, "Redis is not fit for a sale");
                    }
                    self.fault.store(Arc::new(fault));
                }
                Err(error) => tracing::debug!(%error, "eviction policy not read"),
            }
            tokio::select! {
                () = tokio::time::sleep(CHECK_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}
