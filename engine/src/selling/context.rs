//! What every part of the selling service is given.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::domain::clock::Clock;
use crate::domain::random::Random;
use crate::observability::metrics::Metrics;
use crate::recovery::restore::Restorer;
use crate::recovery::settle_abandoned::Settler;
use crate::redis::codec::Format;
use crate::selling::open_calls::OpenCalls;
use crate::selling::steady_since::SteadySince;

/// Backends, time, randomness and what else is passed in.
#[derive(Debug)]
pub(crate) struct Context<R, P> {
    pub redis: R,
    /// Connections for commits and settling.
    pub postgres: Arc<P>,
    /// Connections for reads alone: a crowd of readers must not delay purchases.
    pub lookups: Arc<P>,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    pub random: Random,
    /// The newest format of this process.
    pub newest_format: Format,
    /// Calls whose effects Postgres may not have yet.
    pub open_calls: OpenCalls,
    /// Since when Postgres has answered without a pause.
    pub steady_since: SteadySince,
    /// Cart partitions that are restored at once.
    pub restorations: Semaphore,
    /// The background tasks of this process.
    pub tasks: TaskTracker,
}

impl<R: crate::redis::commands::Redis, P: crate::postgres::operations::Postgres> Context<R, P> {
    /// A settler with a consumer name of its own.
    pub(crate) fn settler(&self) -> Settler<R, P> {
        Settler::new(
            self.postgres.clone(),
            self.redis.clone(),
            self.metrics.clone(),
            (&self.clock, &self.random),
            self.newest_format,
        )
    }

    /// Restores sales that Redis lost.
    pub(crate) fn restorer(&self) -> Restorer<R> {
        Restorer {
            redis: self.redis.clone(),
            random: self.random.clone(),
            newest_format: self.newest_format,
        }
    }
}
