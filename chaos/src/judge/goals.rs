//! The goals of the scenarios: how long an outage may be, and what it may cost.

use std::borrow::Cow;
use std::collections::HashSet;

use flashsale_load::client::answer::Answer;
use flashsale_load::client::call::{Call, Endpoint};
use serde::{Deserialize, Serialize};

use super::Evidence;
use super::outage::{Calls, Class, Outage, last_end_us, outages_of};
use crate::history::{FaultRecord, RunHistory};
use crate::plan::Kind;

/// What a fault may still cost after its end, in microseconds.
const AFTERMATH_US: i64 = 10_000_000;
/// How long the return of what a fault hit is watched, in microseconds.
const RETURN_US: i64 = 2_000_000;
/// Claims of a killed process that may have been without a commit at its end, in microseconds.
const UNSETTLED_US: i64 = 2_000_000;
/// A catalogue above this may take the longer restoration.
const SMALL_CATALOGUE: u32 = 10_000;
const SECOND_US: f64 = 1_000_000.0;
const SALES: [Endpoint; 2] = [Endpoint::Checkout, Endpoint::Purchase];

/// A figure of a run, and what it may be at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// The fault.
    pub fault: String,
    /// What was measured.
    pub name: Cow<'static, str>,
    /// The figure; `None`: the run did not show it.
    pub value: Option<f64>,
    /// `s`, `ms`, `%` or empty.
    pub unit: Cow<'static, str>,
    /// The highest value that is good; `None`: a figure without a goal.
    pub limit: Option<f64>,
}

impl Goal {
    /// Whether it is reached; `None` without a figure or a limit.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        Some(self.value? <= self.limit?)
    }
}

/// The figures of every fault of a run.
#[must_use]
pub fn goals(history: &RunHistory, evidence: &Evidence) -> Vec<Goal> {
    let faults = history.faults.iter();
    faults
        .flat_map(|fault| of_fault(history, evidence, fault))
        .collect()
}

fn of_fault(history: &RunHistory, evidence: &Evidence, fault: &FaultRecord) -> Vec<Goal> {
    let figures = Figures { history, fault };
    match fault.fault.kind() {
        Kind::HungMaster | Kind::KilledMaster | Kind::LostTail => figures.of_master(),
        Kind::FlushAll | Kind::KilledAllRedis => {
            let is_small = history.catalogue.count() <= SMALL_CATALOGUE;
            let limit = if is_small { 2.0 } else { 5.0 };
            vec![figures.since_service("selling after Redis answers", &SALES, limit)]
        }
        Kind::HungPostgres | Kind::KilledPostgres | Kind::ReadOnlyPostgres => {
            vec![
                figures.since_service(PURCHASES_AGAIN, &[Endpoint::Purchase], 1.0),
                figures.backlog(evidence),
            ]
        }
        Kind::LaggingStandbyPromoted => {
            let again = figures.since_service(PURCHASES_AGAIN, &[Endpoint::Purchase], 1.0);
            vec![again, figures.lost_purchases(evidence)]
        }
        Kind::KilledApi => vec![figures.taken_claims(evidence)],
        _ => vec![figures.longest_stop()],
    }
}

const PURCHASES_AGAIN: &str = "purchases after Postgres accepts writes";

struct Figures<'a> {
    history: &'a RunHistory,
    fault: &'a FaultRecord,
}

impl Figures<'_> {
    fn goal(
        &self,
        name: &'static str,
        value: Option<f64>,
        unit: &'static str,
        limit: Option<f64>,
    ) -> Goal {
        Goal {
            fault: self.fault.fault.to_string(),
            name: name.into(),
            value,
            unit: unit.into(),
            limit,
        }
    }

    /// From the begin of the fault until so long after its end; not into the next fault.
    fn span(&self, after_us: i64) -> (i64, i64) {
        let began_us = self.fault.began_us;
        let faults = self.history.faults.iter();
        let next_us = faults
            .map(|other| other.began_us)
            .filter(|other_us| *other_us > began_us)
            .min();
        let to_us = (self.fault.ended_us + after_us).min(self.history.ends_us);
        (began_us, to_us.min(next_us.unwrap_or(to_us)))
    }

    fn outages(&self, class: Class, endpoints: &[Endpoint]) -> Option<Vec<Outage>> {
        outages_of(
            self.history,
            self.fault,
            class,
            endpoints,
            self.span(AFTERMATH_US),
        )
    }

    fn serves_by(&self, class: Class, endpoints: &[Endpoint]) -> Option<i64> {
        let outages = self.outages(class, endpoints)?;
        Some(last_end_us(&outages, self.fault.began_us))
    }

    fn of_master(&self) -> Vec<Goal> {
        let began_us = self.fault.began_us;
        let own = self.serves_by(Class::OwnSlots, &SALES);
        let seconds_since =
            |from_us: i64| own.map(|by_us| (by_us - from_us).max(0) as f64 / SECOND_US);
        let after_report = self.fault.serves_again_us.and_then(seconds_since);
        // What comes back may cost others as well.
        let span = self.span(RETURN_US);
        let others = Calls::due_in(self.history, self.fault, Class::OtherSlots, span);
        let p99_ms = others.p99_us().map(|us| us as f64 / 1_000.0);
        let failed = (others.count > 0).then(|| others.failed_share() * 100.0);
        vec![
            self.goal(
                "own slots: selling after the new master is reported",
                after_report,
                "s",
                Some(1.0),
            ),
            self.goal(
                "own slots: selling after the fault began",
                seconds_since(began_us),
                "s",
                Some(6.0),
            ),
            self.goal(
                "other slots: p99 of successful calls",
                p99_ms,
                "ms",
                Some(50.0),
            ),
            self.goal("other slots: calls that failed", failed, "%", Some(0.1)),
        ]
    }

    /// How long after the backend serves again the product does.
    fn since_service(&self, name: &'static str, endpoints: &[Endpoint], limit: f64) -> Goal {
        let by_us = self.serves_by(Class::All, endpoints);
        let value = by_us.zip(self.fault.serves_again_us);
        let value = value.map(|(by_us, from_us)| (by_us - from_us).max(0) as f64 / SECOND_US);
        self.goal(name, value, "s", Some(limit))
    }

    /// How long after Postgres accepts writes the last claim from before is committed.
    fn backlog(&self, evidence: &Evidence) -> Goal {
        let value = self.fault.serves_again_us.map(|again_us| {
            let waiting = evidence
                .commits
                .iter()
                .filter(|commit| (self.fault.began_us..again_us).contains(&commit.claimed_us));
            let last_us = waiting.filter_map(|commit| commit.committed_us).max();
            (last_us.unwrap_or(again_us) - again_us).max(0) as f64 / SECOND_US
        });
        self.goal(
            "backlog drained after Postgres accepts writes",
            value,
            "s",
            Some(5.0),
        )
    }

    /// Answered purchases that the promoted standby misses: what asynchronous replication does not
    /// promise.
    fn lost_purchases(&self, evidence: &Evidence) -> Goal {
        let orders: HashSet<&str> = evidence
            .stored
            .sales
            .iter()
            .flat_map(|sale| sale.orders.iter().map(|order| &*order.code))
            .collect();
        let calls = self.history.calls.iter();
        let lost: HashSet<&str> = calls
            .filter_map(|record| match (&record.call, &record.answer) {
                (Call::Purchase { code, .. }, Answer::Outcome(_)) => Some(&**code),
                _ => None,
            })
            .filter(|code| !orders.contains(code))
            .collect();
        self.goal(
            "answered purchases that are lost (not promised)",
            Some(lost.len() as f64),
            "",
            None,
        )
    }

    /// The longest wait for its commit of a claim from shortly before the end of the process.
    fn taken_claims(&self, evidence: &Evidence) -> Goal {
        let killed_us = self.fault.began_us;
        let near = evidence
            .commits
            .iter()
            .filter(|commit| (killed_us - UNSETTLED_US..killed_us).contains(&commit.claimed_us));
        let waits = near.filter_map(|commit| Some(commit.committed_us? - killed_us));
        let value = waits.max().map(|wait_us| wait_us.max(0) as f64 / SECOND_US);
        self.goal(
            "unsettled claims committed by another process",
            value,
            "s",
            Some(5.0),
        )
    }

    fn longest_stop(&self) -> Goal {
        let outages = self.outages(Class::All, &SALES);
        let lengths = outages.map(|outages| outages.iter().map(Outage::length_us).max());
        let value = lengths.map(|longest_us| longest_us.unwrap_or(0) as f64 / SECOND_US);
        self.goal("longest span without a success", value, "s", None)
    }
}
