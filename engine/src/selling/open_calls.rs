//! Calls of this process whose effects Postgres may not have yet.
//!
//! Guarantees: a call that has begun is open until its handle is dropped, wherever the handle went
//! meanwhile: what a failed call leaves behind is never forgotten, and never waited for twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::clock::{Clock, Timer};

/// The open calls of a process; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct OpenCalls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    timer: Timer,
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    /// When each began; in the order of their numbers, which is that of their times.
    begun: BTreeMap<u64, Duration>,
}

/// A call that has begun. Dropped once everything that it did is in Postgres, or is known to have
/// been answered as failed.
#[derive(Debug)]
pub(crate) struct OpenCall {
    shared: Arc<Shared>,
    number: u64,
}

impl OpenCalls {
    /// None are open. Times are counted from now.
    pub(crate) fn new(clock: &Clock) -> Self {
        Self(Arc::new(Shared {
            timer: clock.start_timer(),
            calls: Mutex::default(),
        }))
    }

    /// Begins a call.
    pub(crate) fn begin(&self) -> OpenCall {
        let mut calls = self.0.lock();
        let number = calls.next;
        calls.next += 1;
        // Read under the lock, so that a later number has a later time.
        calls.begun.insert(number, self.0.timer.elapsed());
        OpenCall {
            shared: self.0.clone(),
            number,
        }
    }

    /// The time before which every call that began has ended.
    pub(crate) fn ended_before(&self) -> Duration {
        let calls = self.0.lock();
        let oldest = calls.begun.first_key_value();
        oldest.map_or_else(|| self.0.timer.elapsed(), |(_, begun)| *begun)
    }

    /// The present time, on the scale of [`OpenCalls::ended_before`].
    pub(crate) fn now(&self) -> Duration {
        self.0.timer.elapsed()
    }

    /// Whether no call is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().begun.is_empty()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Calls> {
        // A map is whole between any two statements, so a panic elsewhere spoils nothing.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.shared.lock().begun.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemClock;

    #[test]
    fn everything_has_ended_up_to_the_oldest_call_that_is_open() {
        let calls = OpenCalls::new(&SystemClock::clock());
        assert!(calls.is_empty());
        let first = calls.begin();
        let begun = calls.ended_before();
        let second = calls.begin();
        assert_eq!(calls.ended_before(), begun);
        drop(first);
        let second_begun = calls.ended_before();
        assert!(begun <= second_begun && !calls.is_empty());
        drop(second);
        assert!(calls.is_empty() && second_begun <= calls.ended_before());
    }
}
