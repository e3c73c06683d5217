//! Bounds how many lines one place in the code logs: during an outage each refused request would log
//! the same, thousands of times a second.
//!
//! Guarantees: a place logs at most [`LINES_PER_SECOND`] lines in a second, and a line says how many
//! more there would have been. The lines of orders and requests (targets `flashsale::…`) are not
//! bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::callsite::Identifier;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

use crate::domain::clock::Clock;

/// Lines of one place in the code within a second.
pub const LINES_PER_SECOND: u32 = 20;

/// What begins the target of lines that are records and not diagnostics.
const RECORDS: &str = "flashsale::";

/// Counts the lines of each place. Clones share the counts.
#[derive(Debug, Clone)]
pub(super) struct LogBound {
    clock: Clock,
    places: Arc<Mutex<HashMap<Identifier, Place>>>,
}

/// Lines that one place logged, and those it did not.
#[derive(Debug, Default)]
struct Place {
    target: &'static str,
    second: i64,
    lines: u32,
    left_out: u64,
}

/// Lines that are left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// The module that would have logged them.
    pub target: &'static str,
    /// How many.
    pub lines: u64,
}

impl Place {
    /// Whether another line may be logged in this second.
    fn admits(&mut self, second: i64) -> bool {
        if self.second != second {
            self.second = second;
            self.lines = 0;
        }
        let admitted = self.lines < LINES_PER_SECOND;
        match admitted {
            true => self.lines += 1,
            false => self.left_out += 1,
        }
        admitted
    }

    fn take_left_out(&mut self, second: i64) -> Option<LeftOut> {
        if self.second == second || self.left_out == 0 {
            return None;
        }
        Some(LeftOut {
            target: self.target,
            lines: std::mem::take(&mut self.left_out),
        })
    }
}

impl LogBound {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            places: Arc::default(),
        }
    }

    /// What was left out in seconds that are over, once.
    pub(super) fn take_left_out(&self) -> Vec<LeftOut> {
        let second = self.clock.now().as_second();
        let mut places = self.places();
        let left_out = places.values_mut();
        left_out
            .filter_map(|place| place.take_left_out(second))
            .collect()
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Identifier, Place>> {
        // Counts are whole between any two statements.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Filter<S> for LogBound {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if metadata.target().starts_with(RECORDS) {
            return true;
        }
        let second = self.clock.now().as_second();
        let mut places = self.places();
        let place = places.entry(metadata.callsite()).or_insert_with(|| Place {
            target: metadata.target(),
            ..Place::default()
        });
        place.admits(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_logs_so_many_lines_a_second_and_says_how_many_more_there_were() {
        let mut place = Place {
            target: "here",
            ..Place::default()
        };
        let admitted = (0..50).filter(|_| place.admits(7)).count();
        assert_eq!(admitted, LINES_PER_SECOND as usize);
        assert_eq!(place.take_left_out(7), None, "the second is not over");
        let left_out = LeftOut {
            target: "here",
            lines: 50 - u64::from(LINES_PER_SECOND),
        };
        assert!(place.admits(8));
        assert_eq!(place.take_left_out(9), Some(left_out));
        assert_eq!(place.take_left_out(9), None, "once");
    }
}
