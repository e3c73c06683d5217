//! The clock of tests, which follows the time of tokio, and the CPU time of a test.

use std::time::Duration;

use flashsale_engine::{Clock, TimeSource};
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// A source of time that starts at a fixed moment and passes as the time of tokio does.
///
/// Where a test pauses the time of tokio (`#[tokio::test(start_paused = true)]`), this clock stands
/// still while a task runs, and jumps to the next timer once all tasks wait.
#[derive(Debug)]
pub struct TestClock {
    origin: Instant,
    starts_at: Timestamp,
}

impl TestClock {
    /// A clock on which it is `starts_at` now.
    pub fn starting_at(starts_at: Timestamp) -> Clock {
        Clock::new(Self {
            origin: Instant::now(),
            starts_at,
        })
    }
}

impl TimeSource for TestClock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.monotonic()).unwrap_or(SignedDuration::MAX);
        self.starts_at
            .saturating_add(elapsed)
            .unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// The CPU time that the calling thread has used since it began.
///
/// A test that bounds the cost of a sale uses this time, because elapsed time depends on what else the
/// machine runs.
pub fn thread_cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(used).unwrap_or_default()
}
