//! Counts what happened: by endpoint, by span of time, and by stage.
//!
//! Memory does not grow with the number of requests, only by a small point now and then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::client::call::Endpoint;
use crate::client::connection::NoAnswer;
use crate::measurement::histogram::Histogram;

/// The span that is reported by itself: a sale is most wanted when it opens.
const FIRST_SECOND: Duration = Duration::from_secs(1);

/// HTTP status; 0 stands for no answer.
pub type Status = u16;

/// Requests, failures and latencies of a span of time.
#[derive(Default)]
pub struct Tally {
    /// Requests.
    pub requests: u64,
    /// Open loop: calls that were due and never started.
    pub never_started: u64,
    /// Answers that the profile did not expect, and calls that never started.
    pub errors: u64,
    /// Latencies; a call that never started has its wait until the end.
    pub latency: Histogram,
}

impl Tally {
    fn record(&mut self, latency: Duration, error: bool) {
        self.requests += 1;
        self.errors += u64::from(error);
        self.latency.record(latency);
    }

    fn record_never_started(&mut self, wait: Duration) {
        self.never_started += 1;
        self.errors += 1;
        self.latency.record(wait);
    }

    /// Errors among all calls that were due, 0 to 1.
    #[must_use]
    pub fn error_share(&self) -> f64 {
        self.errors as f64 / (self.requests + self.never_started).max(1) as f64
    }

    fn clear(&mut self) {
        self.requests = 0;
        self.never_started = 0;
        self.errors = 0;
        self.latency.clear();
    }
}

/// When a call was meant to start, and how long it took from then.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// The intended start.
    pub start: Instant,
    /// From the intended start to the answer.
    pub latency: Duration,
}

/// One endpoint over the whole run.
#[derive(Default)]
pub struct EndpointTally {
    /// Latencies; their count is that of the requests.
    pub latency: Histogram,
    /// Requests by status. Few statuses occur, so a scan beats a hash.
    status: Vec<(Status, u64)>,
}

impl EndpointTally {
    /// Requests by status.
    #[must_use]
    pub fn status(&self) -> BTreeMap<Status, u64> {
        self.status.iter().copied().collect()
    }
}

/// A short span of the run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Point {
    /// Its end, in seconds since the start of the run.
    pub at_s: f64,
    /// Requests per second.
    pub requests_per_second: f64,
    /// Errors per second.
    pub errors_per_second: f64,
    /// Latencies in milliseconds.
    pub p50_ms: f64,
    /// As above.
    pub p95_ms: f64,
    /// As above.
    pub p99_ms: f64,
    /// Items sold since the start of the run.
    pub sold: u64,
}

/// Calls that had no answer for one kind of reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoAnswers {
    /// The kind.
    pub kind: &'static str,
    /// Calls.
    pub count: u64,
    /// The reason of the first one, and what to do where that is known.
    pub sample: String,
}

/// Everything that is counted during a run.
pub struct Recorder {
    started: Instant,
    endpoints: [EndpointTally; Endpoint::ALL.len()],
    total: Tally,
    point: Tally,
    stage: Tally,
    first_second: Tally,
    /// Start of the first stage.
    loaded_since: Option<Instant>,
    last_sale: Option<Instant>,
    no_answers: Vec<NoAnswers>,
    point_began: Instant,
    timeline: Vec<Point>,
}

impl Recorder {
    /// A recorder for a run that starts `now`.
    #[must_use]
    pub fn start(now: Instant) -> Self {
        Self {
            started: now,
            endpoints: Default::default(),
            total: Tally::default(),
            point: Tally::default(),
            stage: Tally::default(),
            first_second: Tally::default(),
            loaded_since: None,
            last_sale: None,
            no_answers: Vec::new(),
            point_began: now,
            timeline: Vec::new(),
        }
    }

    /// Counts one call.
    pub fn record(&mut self, endpoint: Endpoint, status: Status, timing: Timing, error: bool) {
        let Timing { start, latency } = timing;
        let tally = &mut self.endpoints[endpoint as usize];
        tally.latency.record(latency);
        match tally.status.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += 1,
            None => tally.status.push((status, 1)),
        }
        self.total.requests += 1;
        self.total.errors += u64::from(error);
        self.point.record(latency, error);
        self.stage.record(latency, error);
        if self.is_in_first_second(start) {
            self.first_second.record(latency, error);
        }
    }

    /// Counts a call that was due and never started; its latency is the time from its intended
    /// start to the end of the stage, the least that it would have been.
    pub fn record_never_started(&mut self, timing: Timing) {
        let Timing {
            start,
            latency: wait,
        } = timing;
        self.total.record_never_started(wait);
        self.point.record_never_started(wait);
        self.stage.record_never_started(wait);
        if self.is_in_first_second(start) {
            self.first_second.record_never_started(wait);
        }
    }

    fn is_in_first_second(&self, start: Instant) -> bool {
        self.loaded_since
            .is_some_and(|since| start.saturating_duration_since(since) < FIRST_SECOND)
    }

    /// Takes note of an answer that sold an item to this run.
    pub fn record_sale(&mut self, now: Instant) {
        self.last_sale = Some(now);
    }

    /// From the start of the first stage to the last answer that sold an item.
    #[must_use]
    pub fn sold_within(&self) -> Option<Duration> {
        Some(self.last_sale?.duration_since(self.loaded_since?))
    }

    /// The calls that were meant to start in the first second of the first stage.
    #[must_use]
    pub fn first_second(&self) -> &Tally {
        &self.first_second
    }

    /// Counts why a call had no answer, beside [`Recorder::record`].
    pub fn record_no_answer(&mut self, why: &NoAnswer) {
        let kind = why.kind();
        match self.no_answers.iter_mut().find(|known| known.kind == kind) {
            Some(known) => known.count += 1,
            None => self.no_answers.push(NoAnswers {
                kind,
                count: 1,
                sample: format!("{why}{}", why.advice()),
            }),
        }
    }

    /// Why calls had no answer.
    #[must_use]
    pub fn no_answers(&self) -> &[NoAnswers] {
        &self.no_answers
    }

    /// Closes the current point of the timeline.
    pub fn end_point(&mut self, now: Instant, sold: u64) {
        let length_s = now.duration_since(self.point_began).as_secs_f64();
        // The rest after the last whole point may be too short for a rate.
        if length_s > 0.1 || self.timeline.is_empty() {
            self.timeline.push(Point {
                at_s: now.duration_since(self.started).as_secs_f64(),
                requests_per_second: self.point.requests as f64 / length_s,
                errors_per_second: self.point.errors as f64 / length_s,
                p50_ms: self.point.latency.percentile_ms(50.0),
                p95_ms: self.point.latency.percentile_ms(95.0),
                p99_ms: self.point.latency.percentile_ms(99.0),
                sold,
            });
        }
        self.point.clear();
        self.point_began = now;
    }

    /// Forgets the stage before, so that the next one, which starts `now`, is counted alone.
    pub fn begin_stage(&mut self, now: Instant) {
        self.loaded_since.get_or_insert(now);
        self.stage.clear();
    }

    /// The current stage.
    #[must_use]
    pub fn stage(&self) -> &Tally {
        &self.stage
    }

    /// The whole run, with all latencies.
    #[must_use]
    pub fn total(&self) -> Tally {
        // The calls of `total.latency` have no endpoint: they never started.
        let mut latency = self.total.latency.clone();
        for endpoint in &self.endpoints {
            latency.merge(&endpoint.latency);
        }
        Tally {
            latency,
            ..self.total
        }
    }

    /// Requests and errors so far.
    #[must_use]
    pub fn so_far(&self) -> (u64, u64) {
        (self.total.requests, self.total.errors)
    }

    /// The endpoints that were called.
    pub fn endpoints(&self) -> impl Iterator<Item = (Endpoint, &EndpointTally)> {
        Endpoint::ALL
            .into_iter()
            .map(|endpoint| (endpoint, &self.endpoints[endpoint as usize]))
            .filter(|(_, tally)| tally.latency.count() > 0)
    }

    /// The run over time.
    #[must_use]
    pub fn timeline(&self) -> &[Point] {
        &self.timeline
    }
}

#[cfg(test)]
mod tests;
