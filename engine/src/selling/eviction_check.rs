//! Checks the eviction policy of Redis while a process serves.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::redis::commands::Redis;
use crate::redis::eviction_policy::{Eviction, read_eviction};

/// How often the eviction policy is read.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// The result of the last check.
#[derive(Debug, Default)]
pub(crate) struct EvictionCheck {
    last: ArcSwap<Eviction>,
}

impl EvictionCheck {
    /// Why Redis is not fit for a sale, where the last check found it unfit.
    pub(crate) fn fault(&self) -> Option<String> {
        self.last.load().fault().map(str::to_owned)
    }

    /// What the last check found that should be set otherwise.
    pub(crate) fn warning(&self) -> Option<String> {
        match &**self.last.load() {
            Eviction::Off | Eviction::Unknown => None,
            Eviction::Risky(why) | Eviction::Fault(why) => Some(why.clone()),
        }
    }

    /// Checks again and again until `stop`.
    pub(crate) async fn run(&self, redis: &impl Redis, stop: &CancellationToken) {
        loop {
            match read_eviction(redis).await {
                Ok(eviction) => self.note(eviction),
                Err(error) => tracing::debug!(%error, "eviction policy not read"),
            }
            tokio::select! {
                () = tokio::time::sleep(CHECK_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Keeps a result, and logs one that differs from the last.
    fn note(&self, eviction: Eviction) {
        if **self.last.load() == eviction {
            return;
        }
        match &eviction {
            Eviction::Off => tracing::info!("Redis evicts no keys"),
            Eviction::Unknown => tracing::info!("Redis does not show its eviction policy"),
            Eviction::Risky(why) => tracing::warn!(why, "Redis should not evict keys"),
            Eviction::Fault(why) => tracing::error!(why, "Redis is not fit for a sale"),
        }
        self.last.store(Arc::new(eviction));
    }
}
