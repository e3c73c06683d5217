//! The result of a run as a value: for the table, the JSON and the page.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::checker::verdict::Verdict;
use crate::measurement::histogram::Histogram;
use crate::measurement::recorder::{NoAnswers, Point, Recorder, Status, Tally};
use crate::profiles::profile::Profile;
use crate::run::plan::Plan;
use crate::run::stage::Stage;
use crate::run::stress::{Knee, RateStep, Stress};
use crate::run::{Ending, Run};

/// What came of the check against Postgres.
#[derive(Debug, Clone)]
pub enum Checked {
    /// None was asked for.
    NotAsked,
    /// It was made.
    Verdicts(Vec<Verdict>),
    /// It could not be made, and why.
    Failed(String),
}

/// One endpoint of the result; latencies in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct EndpointSummary {
    /// Method and path.
    pub name: &'static str,
    /// Calls.
    pub count: u64,
    /// Half of the calls were at least as fast.
    pub p50_ms: f64,
    /// 95% were.
    pub p95_ms: f64,
    /// 99% were.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// Calls by status; `no_answer` where none came.
    pub status: BTreeMap<String, u64>,
}

/// The calls that were meant to start in the first second of load; latencies in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct FirstSecond {
    /// Calls that started.
    pub requests: u64,
    /// As in [`Summary::errors`].
    pub errors: u64,
    /// As in [`Summary::backlog`].
    pub backlog: u64,
    /// A call that never started counts with its wait until the end of the run.
    pub p50_ms: f64,
    /// As above.
    pub p99_ms: f64,
    /// As above.
    pub max_ms: f64,
}

impl FirstSecond {
    fn of(tally: &Tally) -> Self {
        Self {
            requests: tally.requests,
            errors: tally.errors,
            backlog: tally.never_started,
            p50_ms: percentile(&tally.latency, 50.0),
            p99_ms: percentile(&tally.latency, 99.0),
            max_ms: rounded(tally.latency.max_ms()),
        }
    }
}

/// Everything that is reported about a run.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Kind of load.
    pub profile: &'static str,
    /// `open` or `closed`.
    pub mode: &'static str,
    /// The rng seed of the virtual users.
    pub seed: u64,
    /// Name of the run, which its users and request ids carry.
    pub run: String,
    /// The sale.
    pub sale: String,
    /// The moment of the report, RFC 3339.
    pub finished_at: String,
    /// Addresses.
    pub targets: Vec<String>,
    /// Over all targets.
    pub connections: u32,
    /// Virtual users at the same time.
    pub seats: u32,
    /// Requests per second that were asked for; null in a closed loop.
    pub rate: Option<f64>,
    /// Length of the run in seconds, without the wait for the last answers.
    pub duration_s: f64,
    /// Why it ended.
    pub ending: Ending,
    /// Calls.
    pub requests: u64,
    /// Calls per second: those that were done within the length of the run.
    pub requests_per_second: f64,
    /// Answers that the profile does not expect, calls without an answer, and `backlog`.
    pub errors: u64,
    /// Open loop: calls that were due and never started; not in `requests`.
    pub backlog: u64,
    /// Over all calls, in milliseconds; a call that never started counts with its wait until
    /// the end.
    pub p50_ms: f64,
    /// As above.
    pub p95_ms: f64,
    /// As above.
    pub p99_ms: f64,
    /// As above.
    pub max_ms: f64,
    /// The first second by itself.
    pub first_second: FirstSecond,
    /// Calls by status; `no_answer` where none came.
    pub status: BTreeMap<String, u64>,
    /// Why calls had no answer, one reason of each kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_answers: Vec<NoAnswers>,
    /// By endpoint.
    pub endpoints: Vec<EndpointSummary>,
    /// Different items that were answered as bought.
    pub sold: u64,
    /// From the start of the load to the last answer that sold an item, in seconds.
    pub last_sold_s: Option<f64>,
    /// The check against Postgres; empty where none was made.
    pub verdicts: Vec<Verdict>,
    /// Why the check could not be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_failed: Option<String>,
    /// Stress: where the system gave in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knee: Option<Knee>,
    /// Stress: every step.
    #[serde(rename = "rungs", skip_serializing_if = "Vec::is_empty")]
    pub rate_steps: Vec<RateStep>,
    /// The run over time.
    pub timeline: Vec<Point>,
    /// When the sale opened, in seconds since the start of the run: not later than it.
    #[serde(skip)]
    pub opened_s: Option<f64>,
    #[serde(skip)]
    errors_are_expected: bool,
    #[serde(skip)]
    must_sell_out: bool,
}

impl Summary {
    pub(crate) fn new(
        plan: &Plan,
        run: &Run,
        stage: Stage,
        stress: Option<Stress>,
        checked: Checked,
    ) -> Self {
        let recorder = run.recorder.borrow();
        let total = recorder.total();
        let (status, endpoints) = by_endpoint(&recorder);
        let duration_s = stage.length.as_secs_f64();
        let (verdicts, check_failed) = match checked {
            Checked::NotAsked => (Vec::new(), None),
            Checked::Verdicts(verdicts) => (verdicts, None),
            Checked::Failed(why) => (Vec::new(), Some(why)),
        };
        let (knee, rate_steps) = stress.map_or((None, Vec::new()), |s| (s.knee, s.rate_steps));
        Self {
            profile: plan.profile.name(),
            mode: if plan.rate.is_some() {
                "open"
            } else {
                "closed"
            },
            seed: plan.seed,
            run: run.id.as_str().to_owned(),
            sale: run.catalogue.sale().to_owned(),
            finished_at: run.clock.utc().to_string(),
            targets: addresses(plan),
            connections: plan.connections,
            seats: run.seats,
            rate: plan.rate,
            duration_s: rounded(duration_s),
            ending: stage.ending,
            requests: total.requests,
            requests_per_second: rounded(stage.done as f64 / duration_s.max(1e-6)),
            errors: total.errors,
            backlog: stage.never_started,
            p50_ms: percentile(&total.latency, 50.0),
            p95_ms: percentile(&total.latency, 95.0),
            p99_ms: percentile(&total.latency, 99.0),
            max_ms: rounded(total.latency.max_ms()),
            first_second: FirstSecond::of(recorder.first_second()),
            status,
            no_answers: recorder.no_answers().to_vec(),
            endpoints,
            sold: run.state.borrow().bought(),
            last_sold_s: recorder
                .sold_within()
                .map(|span| rounded(span.as_secs_f64())),
            verdicts,
            check_failed,
            knee,
            rate_steps,
            timeline: recorder.timeline().to_vec(),
            opened_s: run.open_for.map(|open_for| -open_for.as_secs_f64()),
            errors_are_expected: plan.expect_errors || plan.profile == Profile::Stress,
            must_sell_out: plan.until_sold_out,
        }
    }

    /// What speaks against the run; empty when it was fine.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.requests == 0 {
            faults.push("not one call was made".to_owned());
        }
        if self.errors > 0 && !self.errors_are_expected {
            faults.push(format!(
                "{} calls with an unexpected answer or none, or that were due and never started",
                self.errors
            ));
        }
        if self.knee.as_ref().is_some_and(|knee| knee.held_rate <= 0.0) {
            faults.push("not even the first rate was held".to_owned());
        }
        if let Some(why) = self.climb_was_cut_short() {
            faults.push(why);
        }
        if self.must_sell_out && self.ending != Ending::SoldOut {
            faults.push(format!("not sold out after {:.0} s", self.duration_s));
        }
        if let Some(why) = &self.check_failed {
            faults.push(format!("the answers were not checked: {why}"));
        }
        let not_held = self.verdicts.iter().filter(|v| v.finding.is_fault());
        faults.extend(not_held.map(|verdict| {
            let word = verdict.finding.word().to_lowercase();
            format!("{word}: {}", verdict.invariant)
        }));
        faults
    }

    fn climb_was_cut_short(&self) -> Option<String> {
        if self.profile != Profile::Stress.name() || self.knee.is_some() {
            return None;
        }
        let how = match self.ending {
            Ending::SoldOut => "everything was sold",
            Ending::SaleEnded => "the sale ended",
            _ => return None,
        };
        Some(format!(
            "{how} before a knee was found: load a sale with more items \
             (catalog.generate.count, up to 1000000) or a longer one, or begin at a higher --rate"
        ))
    }

    /// Whether the exit code is 0.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.faults().is_empty()
    }

    /// The JSON of the run, for machines.
    #[must_use]
    pub fn json(&self) -> String {
        // Strings as keys and plain numbers: there is nothing that could fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The loop in words.
    #[must_use]
    pub fn loop_words(&self) -> String {
        match self.rate {
            Some(rate) if self.profile == Profile::Stress.name() => {
                format!("open loop from {rate} requests/s up")
            }
            Some(rate) => format!("open loop, {rate} requests/s"),
            None => "closed loop".to_owned(),
        }
    }

    /// Why the run ended, where its time was not up.
    #[must_use]
    pub fn ending_words(&self) -> &'static str {
        match self.ending {
            Ending::TimeUp => "",
            Ending::SoldOut => " until all was sold",
            Ending::SaleEnded => " until the sale ended",
            Ending::CatalogueUsedUp => " until each item had been offered",
            Ending::CartsUsedUp => " until each cart had been bought",
            Ending::Interrupted => " until it was interrupted",
        }
    }

    /// The knee in words.
    #[must_use]
    pub fn knee_words(&self) -> String {
        match &self.knee {
            Some(knee) => format!(
                "knee: {:.0} requests/s were held, {:.0} were not: {}",
                knee.held_rate, knee.broken_rate, knee.reason
            ),
            None => "no knee was reached".to_owned(),
        }
    }
}

fn addresses(plan: &Plan) -> Vec<String> {
    let targets = plan.targets.iter();
    targets.map(|target| target.address().to_owned()).collect()
}

/// Calls by status over all endpoints, and the endpoints.
fn by_endpoint(recorder: &Recorder) -> (BTreeMap<String, u64>, Vec<EndpointSummary>) {
    let mut all = BTreeMap::new();
    let mut endpoints = Vec::new();
    for (endpoint, tally) in recorder.endpoints() {
        let named = tally.status().into_iter();
        let status: BTreeMap<_, _> = named.map(|(s, n)| (status_name(s), n)).collect();
        for (name, count) in &status {
            *all.entry(name.clone()).or_default() += count;
        }
        endpoints.push(EndpointSummary {
            name: endpoint.name(),
            count: tally.latency.count(),
            p50_ms: percentile(&tally.latency, 50.0),
            p95_ms: percentile(&tally.latency, 95.0),
            p99_ms: percentile(&tally.latency, 99.0),
            max_ms: rounded(tally.latency.max_ms()),
            status,
        });
    }
    (all, endpoints)
}

/// Statuses in one line.
pub(crate) fn statuses(status: &BTreeMap<String, u64>) -> String {
    let words: Vec<_> = status.iter().map(|(s, n)| format!("{s}:{n}")).collect();
    words.join(" ")
}

fn status_name(status: Status) -> String {
    match status {
        0 => "no_answer".to_owned(),
        code => code.to_string(),
    }
}

fn percentile(latency: &Histogram, percent: f64) -> f64 {
    rounded(latency.percentile_ms(percent))
}

/// To the µs: more digits would only pretend.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
