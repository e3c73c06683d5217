//! Calls whose effects may be lost, because that is not promised: attempts of a process that was
//! lost together with the writes of Redis, and what a promoted standby had not received.

use std::collections::HashSet;

use flashsale_load::client::answer::Answer;
use flashsale_load::client::call::Call;

use crate::history::{CallRecord, FaultRecord, RunHistory};
use crate::plan::Fault;

/// An attempt is settled by then: it waits three seconds, a settler runs every second and needs a
/// moment.
const SETTLE_LAG_US: i64 = 8_000_000;

/// Calls that are not counted, by their requests.
#[derive(Default)]
pub(super) struct Excused {
    /// Checkouts whose attempts may be missing.
    pub(super) attempts: HashSet<u32>,
    /// Calls of codes whose purchases may be missing.
    pub(super) purchases: HashSet<u32>,
}

impl Excused {
    /// Those of a run.
    pub(super) fn of(history: &RunHistory) -> Self {
        let mut excused = Self::default();
        for fault in &history.faults {
            match fault.fault {
                Fault::KillApi { process, .. } if loses_redis_near(history, fault) => {
                    excused.excuse_attempts(
                        history,
                        fault.began_us - SETTLE_LAG_US,
                        fault,
                        |call| call.target == process,
                    );
                }
                Fault::PromoteLaggingStandby { lag_ms } => {
                    let lag_us = i64::try_from(lag_ms * 1_000).unwrap_or(i64::MAX);
                    // The standby was disconnected a little earlier than the lag says.
                    let from_us = fault.began_us - lag_us - 1_000_000;
                    excused.excuse_attempts(history, from_us - SETTLE_LAG_US, fault, |_| true);
                    excused.excuse_purchases(history, from_us, fault);
                }
                _ => {}
            }
        }
        excused
    }

    /// A sentence for the verdict on attempts; empty where none is excused.
    pub(super) fn about_attempts(&self) -> String {
        match self.attempts.len() {
            0 => String::new(),
            count => format!("; {count} attempts are not counted, whose loss is not excluded"),
        }
    }

    /// The same for the verdict on purchases.
    pub(super) fn about_purchases(&self) -> String {
        match self.purchases.len() {
            0 => String::new(),
            count => format!("; {count} calls are not counted: the standby lacked their purchases"),
        }
    }

    fn excuse_attempts(
        &mut self,
        history: &RunHistory,
        from_us: i64,
        fault: &FaultRecord,
        may_be_lost: impl Fn(&CallRecord) -> bool,
    ) {
        let lost = history.calls.iter().filter(|record| {
            matches!(record.call, Call::Checkout { .. })
                && (from_us..=fault.ended_us).contains(&record.ended_us)
                && may_be_lost(record)
        });
        self.attempts.extend(lost.map(|record| record.request));
    }

    /// All calls about each code whose outcome was answered in the span.
    fn excuse_purchases(&mut self, history: &RunHistory, from_us: i64, fault: &FaultRecord) {
        let answered: HashSet<&str> = history
            .calls
            .iter()
            .filter(|record| (from_us..=fault.ended_us).contains(&record.ended_us))
            .filter(|record| matches!(record.answer, Answer::Outcome(_)))
            .filter_map(code)
            .collect();
        let of_them = history.calls.iter().filter(|record| {
            let code = code(record);
            code.is_some_and(|code| answered.contains(code))
        });
        self.purchases.extend(of_them.map(|record| record.request));
    }
}

/// The code that a call is about, or that it was answered.
fn code(record: &CallRecord) -> Option<&str> {
    match (&record.call, &record.answer) {
        (Call::Purchase { code, .. } | Call::Cart { code }, _) | (_, Answer::Added { code }) => {
            Some(code)
        }
        _ => None,
    }
}

fn loses_redis_near(history: &RunHistory, killed: &FaultRecord) -> bool {
    let mut losses = history
        .faults
        .iter()
        .filter(|record| record.fault.kind().loses_writes_of_redis());
    losses.any(|loss| loss.is_within(killed.began_us, SETTLE_LAG_US))
}
