//! How long claims waited for their commit.

use std::sync::Arc;

/// When an order was decided in Redis and when it was durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its code.
    pub code: Arc<str>,
    /// When Redis claimed its items, in microseconds since the opening.
    pub claimed_us: i64,
    /// When Postgres committed it; `None`: Postgres did not record it.
    pub committed_us: Option<i64>,
}
