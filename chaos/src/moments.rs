//! The time of a run: microseconds since the opening of the sale.

use std::time::{Duration, Instant};

use flashsale_load::clock::Clock;
use jiff::Timestamp;

/// Measures time from the opening of the sale, by the machine's steady clock.
#[derive(Debug, Clone, Copy)]
pub struct Moments {
    opening: Instant,
    clock: Clock,
}

impl Moments {
    /// The time since an opening that is yet to come.
    #[must_use]
    pub fn since(opening: Timestamp, clock: Clock) -> Self {
        let left = Duration::try_from(opening.duration_since(clock.utc())).unwrap_or_default();
        Self {
            opening: clock.now() + left,
            clock,
        }
    }

    /// Now, in microseconds since the opening; negative before it.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.at_us(self.clock.now())
    }

    /// The same of another moment.
    #[must_use]
    pub fn at_us(&self, at: Instant) -> i64 {
        let us = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        match at.checked_duration_since(self.opening) {
            Some(span) => us(span),
            None => -us(self.opening.duration_since(at)),
        }
    }

    /// The moment so many milliseconds after the opening.
    #[must_use]
    pub fn at(&self, ms: i64) -> Instant {
        let span = Duration::from_millis(ms.unsigned_abs());
        if ms < 0 {
            self.opening - span
        } else {
            self.opening + span
        }
    }

    /// Sleeps until then; not at all where it is past.
    pub fn sleep_until(&self, at: Instant) {
        std::thread::sleep(at.saturating_duration_since(self.clock.now()));
    }
}
