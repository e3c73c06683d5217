//! Since when Postgres has taken the watermarks of this process without a pause.

use std::sync::atomic::{AtomicI64, Ordering};

/// A time of the server, for those who decide which processes are dead.
#[derive(Debug)]
pub(crate) struct SteadySince(AtomicI64);

impl Default for SteadySince {
    /// Never yet.
    fn default() -> Self {
        Self(AtomicI64::new(i64::MAX))
    }
}

impl SteadySince {
    /// Unix time in microseconds by the server's clock; `i64::MAX` for never.
    pub(crate) fn us(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Replaces it.
    pub(crate) fn set_us(&self, us: i64) {
        self.0.store(us, Ordering::Relaxed);
    }
}
