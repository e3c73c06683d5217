//! The clock as a value that `main` passes in.
//!
//! Guarantees: the engine reads the time from a [`Clock`] and from nothing else, so that a test or
//! a simulation decides what time it is.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// A source of time. The machine's implementation is [`crate::system::SystemClock`].
pub trait TimeSource: Debug + Send + Sync {
    /// The wall-clock time. It may be set forward and back.
    fn now(&self) -> Timestamp;

    /// The time since a fixed, arbitrary moment. It never goes back.
    fn monotonic(&self) -> Duration;
}

/// A handle to a [`TimeSource`]; clones share it.
#[derive(Debug, Clone)]
pub struct Clock(Arc<dyn TimeSource>);

impl Clock {
    /// Wraps a source of time.
    pub fn new(source: impl TimeSource + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// The wall-clock time.
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// The wall-clock time as Unix time in microseconds.
    pub fn now_us(&self) -> i64 {
        self.0.now().as_microsecond()
    }

    /// The wall-clock time as Unix time in milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.0.now().as_millisecond()
    }

    /// The start of a measurement of elapsed time.
    pub fn start_timer(&self) -> Timer {
        Timer {
            clock: self.clone(),
            started: self.0.monotonic(),
        }
    }
}

/// Measures elapsed time from its start. Changes of the wall-clock time do not affect it.
#[derive(Debug, Clone)]
pub struct Timer {
    clock: Clock,
    started: Duration,
}

impl Timer {
    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.clock.0.monotonic().saturating_sub(self.started)
    }
}
