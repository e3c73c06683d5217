//! Bounds how many lines one callsite of `tracing` logs: during an outage each refused request would
//! log the same warning, thousands of times a second.
//!
//! Guarantees: a callsite logs at most [`LINES_PER_SECOND`] lines in a second, and a further line says
//! how many were left out. The lines of orders and other business events (targets `flashsale::…`) are
//! not bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::callsite::Identifier;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

use crate::domain::clock::Clock;
use crate::observability::line_limit::LineLimit;

/// Lines of one callsite within a second.
pub const LINES_PER_SECOND: u32 = 20;

/// What begins the target of lines that are records and not diagnostics.
const RECORDS: &str = "flashsale::";

/// Counts the lines of each callsite. Clones share the counts.
#[derive(Debug, Clone)]
pub(super) struct LogBound {
    clock: Clock,
    callsites: Arc<Mutex<HashMap<Identifier, Callsite>>>,
}

/// One callsite.
#[derive(Debug)]
struct Callsite {
    target: &'static str,
    limit: LineLimit,
}

/// Lines that are left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// The module that would have logged them.
    pub target: &'static str,
    /// How many.
    pub lines: u64,
}

impl Callsite {
    fn new(target: &'static str) -> Self {
        Self {
            target,
            limit: LineLimit::default(),
        }
    }

    /// The lines that were left out in a second that is over.
    fn take_left_out(&mut self, second: i64) -> Option<LeftOut> {
        if !self.limit.is_over(second) {
            return None;
        }
        let lines = self.limit.take_left_out();
        (lines > 0).then_some(LeftOut {
            target: self.target,
            lines,
        })
    }
}

impl LogBound {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            callsites: Arc::default(),
        }
    }

    /// The lines that were left out in seconds that are over and were not returned before.
    pub(super) fn take_left_out(&self) -> Vec<LeftOut> {
        let second = self.clock.now().as_second();
        let mut callsites = self.callsites();
        let left_out = callsites.values_mut();
        left_out
            .filter_map(|callsite| callsite.take_left_out(second))
            .collect()
    }

    fn callsites(&self) -> MutexGuard<'_, HashMap<Identifier, Callsite>> {
        // Counts are whole between any two statements.
        self.callsites
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
        let mut callsites = self.callsites();
        let callsite = callsites.entry(metadata.callsite());
        let callsite = callsite.or_insert_with(|| Callsite::new(metadata.target()));
        callsite.limit.admits(second, LINES_PER_SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callsite_logs_so_many_lines_a_second_and_says_how_many_more_there_were() {
        let mut callsite = Callsite::new("here");
        let admitted = (0..50).filter(|_| callsite.limit.admits(7, LINES_PER_SECOND));
        assert_eq!(admitted.count(), LINES_PER_SECOND as usize);
        assert_eq!(callsite.take_left_out(7), None, "the second is not over");
        let left_out = LeftOut {
            target: "here",
            lines: 50 - u64::from(LINES_PER_SECOND),
        };
        assert!(callsite.limit.admits(8, LINES_PER_SECOND));
        assert_eq!(callsite.take_left_out(9), Some(left_out));
        assert_eq!(callsite.take_left_out(9), None, "once");
    }
}
