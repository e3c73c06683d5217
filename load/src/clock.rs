//! The machine's clock, as a value that `main` creates and passes on.
//!
//! Guarantees: no other file of the generator reads a clock.

use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock(());

impl Clock {
    /// The machine's clock; for `main`, and for tests.
    #[must_use]
    pub fn system() -> Self {
        Self(())
    }

    /// A moment to measure spans from.
    #[must_use]
    pub fn now(self) -> Instant {
        Instant::now()
    }

    /// How long ago a moment was.
    #[must_use]
    pub fn since(self, earlier: Instant) -> Duration {
        self.now().saturating_duration_since(earlier)
    }

    /// The date and time.
    #[must_use]
    pub fn utc(self) -> Timestamp {
        Timestamp::now()
    }

    /// The date and time, as the system counts it.
    #[must_use]
    pub fn wall(self) -> SystemTime {
        SystemTime::now()
    }
}
