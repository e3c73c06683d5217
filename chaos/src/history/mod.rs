//! What happened in a run: every call with its answer, and every fault.
//!
//! All moments are microseconds since the opening of the sale by this machine's clock, negative
//! before it. Pure: the run fills a history, the judges read it.

mod call_record;
mod fault_record;
mod owned_keys;

pub use call_record::CallRecord;
pub use fault_record::FaultRecord;
pub use owned_keys::{OwnedKeys, partition_of_user};

use std::collections::HashSet;

use flashsale_load::checker::history::History as CheckedHistory;
use flashsale_load::client::catalogue::Catalogue;
use flashsale_load::client::run_id::RunId;
use serde_json::json;

/// How far a clock of the product may be ahead of this one at the close.
const CLOSE_SKEW_US: i64 = 1_000_000;

/// A whole run.
pub struct RunHistory {
    /// The name of the run, which users and request ids carry.
    pub run: RunId,
    /// The items.
    pub catalogue: Catalogue,
    /// When the sale ends.
    pub ends_us: i64,
    /// The calls, in the order of their answers.
    pub calls: Vec<CallRecord>,
    /// When calls were due that never started, because too many waited for an answer.
    pub never_started_us: Vec<i64>,
    /// The faults, in the order of their begins.
    pub faults: Vec<FaultRecord>,
}

impl RunHistory {
    /// The history as the checker of the load generator reads it, without the calls in `except`.
    #[must_use]
    pub fn checked(&self, except: &HashSet<u32>) -> CheckedHistory {
        let mut history = CheckedHistory::default();
        let calls = self.calls.iter();
        for record in calls.filter(|record| !except.contains(&record.request)) {
            let at_close = record.ended_us >= self.ends_us - CLOSE_SKEW_US;
            history.push(record.request, &record.call, &record.answer, at_close);
        }
        history
    }

    /// How many calls were due in a span that never started.
    #[must_use]
    pub fn never_started_in(&self, (from_us, to_us): (i64, i64)) -> usize {
        let due = self.never_started_us.iter();
        due.filter(|due_us| (from_us..to_us).contains(*due_us))
            .count()
    }

    /// One JSON object a line: the run, the faults, then the calls.
    #[must_use]
    pub fn to_json_lines(&self) -> String {
        let mut lines = String::with_capacity(self.calls.len() * 256);
        let run = json!({
            "run": self.run.as_str(),
            "sale": self.catalogue.sale(),
            "items": self.catalogue.count(),
            "ends_us": self.ends_us,
            "never_started": self.never_started_us.len(),
        });
        let faults = self.faults.iter().map(FaultRecord::to_json);
        let calls = self.calls.iter();
        let calls = calls.map(|record| record.to_json(&self.run, &self.catalogue));
        for value in std::iter::once(run).chain(faults).chain(calls) {
            lines.push_str(&value.to_string());
            lines.push('\n');
        }
        lines
    }
}
