//! Metrics and logs of a process, and what else `main` passes in.
//!
//! Guarantees: no user, item or code is ever a label; a log line is never torn; an outage does not fill
//! the log.

pub mod line_limit;
mod log_bound;
pub mod logging;
pub mod metrics;
pub mod postgres_state;
pub mod redis_nodes;

use std::sync::Arc;

use crate::domain::clock::Clock;
use crate::domain::random::Random;
use crate::observability::metrics::Metrics;

/// What `main` passes in beside the backends.
#[derive(Debug, Clone)]
pub struct Ambient {
    /// The process's metrics.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
}
