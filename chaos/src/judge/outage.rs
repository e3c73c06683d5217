//! Outages: spans without a successful answer although calls were due.

use flashsale_load::client::call::Endpoint;

use crate::history::{CallRecord, FaultRecord, RunHistory};

/// A shorter span without a success is no outage.
const SHORTEST_US: i64 = 250_000;
/// Nor is one in which fewer calls than this are due: users come in bursts.
const FEWEST_DUE: i64 = 12;

/// Calls that a fault hits alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// All of them.
    All,
    /// Those that need keys of the master that the fault hits.
    OwnSlots,
    /// The others.
    OtherSlots,
}

/// A span without a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outage {
    pub(super) from_us: i64,
    pub(super) to_us: i64,
}

impl Outage {
    pub(super) fn length_us(&self) -> i64 {
        self.to_us - self.from_us
    }
}

impl Class {
    pub(super) fn has(
        self,
        record: &CallRecord,
        history: &RunHistory,
        fault: &FaultRecord,
    ) -> bool {
        let Some(keys) = &fault.master else {
            return self == Self::All;
        };
        let needs = || keys.has_keys_of(record, &history.run);
        match self {
            Self::All => true,
            Self::OwnSlots => needs(),
            Self::OtherSlots => !needs(),
        }
    }
}

/// The outages of a class that overlap the span from `from_us` to `to_us`, of each kind of calls in
/// `endpoints` at each API process that the fault does not hit; `None` where no call of one of them
/// was due.
pub(super) fn outages_of(
    history: &RunHistory,
    fault: &FaultRecord,
    class: Class,
    endpoints: &[Endpoint],
    (from_us, to_us): (i64, i64),
) -> Option<Vec<Outage>> {
    let hit = fault.fault.api_process();
    let targets = history.calls.iter().map(|record| record.target + 1).max()?;
    let mut found = Vec::new();
    for target in (0..targets).filter(|target| Some(*target) != hit) {
        for endpoint in endpoints {
            let records: Vec<&CallRecord> = history
                .calls
                .iter()
                .filter(|record| record.target == target && record.endpoint() == *endpoint)
                .filter(|record| class.has(record, history, fault))
                .collect();
            found.extend(outages(history, &records, (from_us, to_us))?);
        }
    }
    Some(found)
}

/// The end of the last of some outages; `from_us` where there was none.
pub(super) fn last_end_us(outages: &[Outage], from_us: i64) -> i64 {
    let ends = outages.iter().map(|outage| outage.to_us);
    ends.max().unwrap_or(from_us)
}

/// Spans without a success that overlap the one from `from_us` to `to_us` for as long as an outage
/// takes; `None` where no call was due in it. Calls that are due after its end tell of what comes next:
/// another fault, or the close. A class that never succeeds again is out until the last call.
fn outages(
    history: &RunHistory,
    records: &[&CallRecord],
    (from_us, to_us): (i64, i64),
) -> Option<Vec<Outage>> {
    let is_due = |record: &&&CallRecord| (from_us..to_us).contains(&record.due_us);
    let due = records.iter().filter(is_due);
    let first_due_us = due.clone().map(|record| record.due_us).min()?;
    let count = i64::try_from(due.count()).unwrap_or(i64::MAX);
    let shortest_us = ((to_us - from_us) / count * FEWEST_DUE).max(SHORTEST_US);
    let mut successes: Vec<i64> = records
        .iter()
        .filter(|record| record.is_success())
        .map(|record| record.ended_us)
        .collect();
    successes.sort_unstable();
    let last_us = records.iter().map(|record| record.ended_us).max()?;
    let before = successes.iter().rev().find(|end_us| **end_us <= from_us);
    let mut since_us = before.copied().unwrap_or(first_due_us).max(from_us);
    let mut found = Vec::new();
    let later = successes.iter().copied().filter(|end_us| *end_us > from_us);
    for end_us in later.chain([last_us]) {
        if since_us > to_us {
            break;
        }
        let within_us = end_us.min(to_us);
        let span = (since_us, within_us);
        let is_waited_for = || history.never_started_in(span) > 0 || is_waited_for(records, span);
        if within_us - since_us >= shortest_us && is_waited_for() {
            found.push(Outage {
                from_us: since_us,
                to_us: end_us,
            });
        }
        since_us = since_us.max(end_us);
    }
    Some(found)
}

/// Whether a call that was due in a span failed or had to wait. Where all were answered at once, users
/// sent few.
fn is_waited_for(records: &[&CallRecord], (from_us, to_us): (i64, i64)) -> bool {
    let mut due = records
        .iter()
        .filter(|record| (from_us..to_us).contains(&record.due_us));
    due.any(|record| !record.is_success() || record.latency_us() >= SHORTEST_US)
}

/// Calls of a class that were due in a span: how many, how many failed, and the latencies of the
/// others in microseconds, in ascending order. Calls that never started have failed, in every class:
/// nobody knows whose they would have been.
pub(super) struct Calls {
    pub(super) count: usize,
    pub(super) failed: usize,
    pub(super) latencies_us: Vec<i64>,
}

impl Calls {
    pub(super) fn due_in(
        history: &RunHistory,
        fault: &FaultRecord,
        class: Class,
        (from_us, to_us): (i64, i64),
    ) -> Self {
        let never_started = history.never_started_in((from_us, to_us));
        let mut calls = Self {
            count: never_started,
            failed: never_started,
            latencies_us: Vec::new(),
        };
        let due = history
            .calls
            .iter()
            .filter(|record| (from_us..to_us).contains(&record.due_us))
            .filter(|record| class.has(record, history, fault));
        for record in due {
            calls.count += 1;
            if record.is_success() {
                calls.latencies_us.push(record.latency_us());
            } else {
                calls.failed += 1;
            }
        }
        calls.latencies_us.sort_unstable();
        calls
    }

    /// The latency that 99% of the successful calls do not exceed.
    pub(super) fn p99_us(&self) -> Option<i64> {
        let place = (self.latencies_us.len() * 99)
            .div_ceil(100)
            .checked_sub(1)?;
        self.latencies_us.get(place).copied()
    }

    /// The share of failed calls, 0 to 1.
    pub(super) fn failed_share(&self) -> f64 {
        self.failed as f64 / (self.count.max(1)) as f64
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::judge::tests::{call, history_of, hung_sale_master};
    use flashsale_load::client::answer::Answer;

    const SECOND: i64 = 1_000_000;
    const CHECKOUT: [Endpoint; 1] = [Endpoint::Checkout];

    /// A call every 50 ms for ten seconds at two processes; none succeeds in the given spans.
    fn history_out_in(out: [(i64, i64); 2]) -> RunHistory {
        let mut calls = Vec::new();
        for step in 0..200_u32 {
            for (target, (from_us, to_us)) in out.into_iter().enumerate() {
                let at_us = i64::from(step) * 50_000;
                let mut record = call(step * 2 + target as u32, at_us);
                record.target = target;
                if (from_us..to_us).contains(&at_us) {
                    record.answer = Answer::None;
                }
                calls.push(record);
            }
        }
        history_of(calls, vec![hung_sale_master(2 * SECOND, 6 * SECOND)])
    }

    fn serves_by(history: &RunHistory) -> Option<i64> {
        let span = (2 * SECOND, 8 * SECOND);
        let fault = &history.faults[0];
        let outages = outages_of(history, fault, Class::All, &CHECKOUT, span)?;
        Some(last_end_us(&outages, span.0))
    }

    #[test]
    fn the_slowest_process_says_when_a_class_is_served_again() {
        let history = history_out_in([(2 * SECOND, 3 * SECOND), (2 * SECOND, 5 * SECOND)]);
        let by_us = serves_by(&history).unwrap();
        assert!((5 * SECOND..5_100_000).contains(&by_us), "{by_us}");
    }

    #[test]
    fn a_span_without_outage_is_served_from_its_begin_and_one_without_calls_is_unknown() {
        let never = (i64::MAX, i64::MAX);
        let history = history_out_in([never, never]);
        assert_eq!(serves_by(&history), Some(2 * SECOND));
        let fault = &history.faults[0];
        let late = (60 * SECOND, 61 * SECOND);
        let found = outages_of(&history, fault, Class::All, &CHECKOUT, late);
        assert_eq!(found, None);
    }

    #[test]
    fn an_outage_that_begins_with_the_end_of_the_span_is_not_of_it() {
        let at_the_end = (7_900_000, 9 * SECOND);
        let history = history_out_in([at_the_end, at_the_end]);
        assert_eq!(serves_by(&history), Some(2 * SECOND));
        let across_it = (7 * SECOND, 9 * SECOND);
        let history = history_out_in([across_it, across_it]);
        let by_us = serves_by(&history).unwrap();
        assert!((9 * SECOND..9_100_000).contains(&by_us), "{by_us}");
    }

    #[test]
    fn a_span_in_which_users_send_little_is_no_outage() {
        let mut history = history_out_in([(0, 0), (0, 0)]);
        let lull = 3 * SECOND..3_900_000;
        history
            .calls
            .retain(|record| !lull.contains(&record.due_us));
        assert_eq!(serves_by(&history), Some(2 * SECOND));
        // One call in it that waits makes it one.
        let mut waiting = call(1_000, 3_100_000);
        waiting.ended_us = 3_950_000;
        history.calls.push(waiting);
        assert!(serves_by(&history).unwrap() > 3_900_000);
    }

    #[test]
    fn a_lull_before_the_next_fault_is_no_outage_of_this_one() {
        let next_fault = (8 * SECOND, 9 * SECOND);
        let mut history = history_out_in([next_fault, next_fault]);
        let lull = 7_100_000..8 * SECOND;
        history
            .calls
            .retain(|record| !lull.contains(&record.due_us));
        assert_eq!(serves_by(&history), Some(2 * SECOND));
    }

    #[test]
    fn a_class_that_stays_out_is_out_until_the_last_call() {
        let never = (i64::MAX, i64::MAX);
        let history = history_out_in([(2 * SECOND, 60 * SECOND), never]);
        assert!(serves_by(&history).unwrap() >= 9_900_000);
    }

    #[test]
    fn shares_and_percentiles_count_the_calls_that_were_due_in_the_span() {
        let history = history_out_in([(2 * SECOND, 3 * SECOND), (0, 0)]);
        let span = (2 * SECOND, 4 * SECOND);
        let calls = Calls::due_in(&history, &history.faults[0], Class::All, span);
        assert_eq!((calls.count, calls.failed), (80, 20));
        assert!((calls.failed_share() - 0.25).abs() < 1e-9);
        assert_eq!(calls.p99_us(), Some(1_000));
    }

    #[test]
    fn calls_that_never_started_have_failed_and_make_a_span_without_a_success_an_outage() {
        let mut history = history_out_in([(0, 0), (0, 0)]);
        let standstill = 3 * SECOND..3_900_000;
        history
            .calls
            .retain(|record| !standstill.contains(&record.due_us));
        history.never_started_us = standstill.step_by(50_000).collect();
        assert!(serves_by(&history).unwrap() >= 3_900_000);
        let fault = &history.faults[0];
        let calls = Calls::due_in(&history, fault, Class::OtherSlots, (3 * SECOND, 4 * SECOND));
        assert_eq!((calls.count - calls.failed, calls.failed), (4, 18));
    }
}
