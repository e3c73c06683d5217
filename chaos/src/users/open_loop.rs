//! The open loop: a call is due at each tick, and the users who are ready take the ticks in turn.
//!
//! Retries take every second tick at most, so that calls which no fault hits stay measured.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use flashsale_load::client::answer::{Answer, Problem};
use flashsale_load::client::call::Call;
use flashsale_load::client::catalogue::Catalogue;
use flashsale_load::client::connection::{Client, Target};
use flashsale_load::client::run_id::RunId;
use flashsale_load::clock::Clock;
use flashsale_load::pacing::{Arrivals, Pacing};
use flashsale_load::profiles::run_state::RunState;
use hyper::Method;

use super::recheck::Refused;
use super::shopper::{Next, Shopper};
use crate::history::CallRecord;
use crate::moments::Moments;

/// Longer than the product lets a call wait.
const CALL_LIMIT: Duration = Duration::from_secs(12);
/// Calls that wait for an answer; a call that is due beyond it never starts.
const MOST_IN_FLIGHT: usize = 6_000;

/// What the users of a run need.
pub struct Drive {
    /// The name of the run.
    pub run: RunId,
    /// The items.
    pub catalogue: Rc<Catalogue>,
    /// The API processes.
    pub targets: Vec<Arc<Target>>,
    /// Whether a balancer would send calls to each of them.
    pub routed: Arc<[AtomicBool]>,
    /// Calls that are due per second.
    pub rate: f64,
    /// The rng seed of the users.
    pub seed: u64,
    /// The time since the opening.
    pub moments: Moments,
}

/// What the calls of a run have in common.
pub struct OpenLoop {
    drive: Drive,
    inner: RefCell<Inner>,
}

struct Inner {
    state: RunState,
    refused: Refused,
    ready: VecDeque<Shopper>,
    retries: VecDeque<Shopper>,
    idle: Vec<Vec<Client>>,
    in_flight: usize,
    ticks: u64,
    calls: Vec<CallRecord>,
    never_started_us: Vec<i64>,
}

impl OpenLoop {
    /// A loop that has not started.
    #[must_use]
    pub fn new(drive: Drive) -> Rc<Self> {
        let inner = Inner {
            state: RunState::new(drive.catalogue.count(), 0, drive.seed),
            refused: Refused::default(),
            ready: VecDeque::new(),
            retries: VecDeque::new(),
            idle: drive.targets.iter().map(|_| Vec::new()).collect(),
            in_flight: 0,
            ticks: 0,
            calls: Vec::new(),
            never_started_us: Vec::new(),
        };
        Rc::new(Self {
            drive,
            inner: RefCell::new(inner),
        })
    }

    /// Calls until `end`, then waits for the answers. Must be called within a `LocalSet`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub async fn run(self: &Rc<Self>, end: Instant, clock: Clock) -> Result<()> {
        let pacing = Pacing::Open(Arrivals::at_rate(self.drive.rate, clock)?);
        loop {
            let due = tokio::select! {
                due = pacing.start(clock) => due,
                () = tokio::time::sleep_until(end.into()) => None,
            };
            let Some(due) = due.filter(|due| *due < end) else {
                break;
            };
            self.start_call(due);
        }
        pacing.stop(end);
        while self.inner.borrow().in_flight > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Answers so far, failures among them, and items bought.
    #[must_use]
    pub fn progress(&self) -> (usize, usize, u64) {
        let inner = self.inner.borrow();
        let failed = inner.calls.iter().filter(|record| !record.is_success());
        (inner.calls.len(), failed.count(), inner.state.bought())
    }

    /// The calls in the order of their answers, and when calls were due that never started.
    #[must_use]
    pub fn take(&self) -> (Vec<CallRecord>, Vec<i64>) {
        let mut inner = self.inner.borrow_mut();
        let calls = std::mem::take(&mut inner.calls);
        (calls, std::mem::take(&mut inner.never_started_us))
    }

    fn start_call(self: &Rc<Self>, due: Instant) {
        let due_us = self.drive.moments.at_us(due);
        let mut inner = self.inner.borrow_mut();
        if inner.in_flight >= MOST_IN_FLIGHT {
            inner.never_started_us.push(due_us);
            return;
        }
        inner.in_flight += 1;
        let shopper = inner.next_shopper();
        drop(inner);
        let this = Rc::clone(self);
        tokio::task::spawn_local(async move { this.call(shopper, due_us).await });
    }

    async fn call(self: Rc<Self>, mut shopper: Shopper, due_us: i64) {
        let Drive {
            run,
            catalogue,
            moments,
            ..
        } = &self.drive;
        let target = self.target_of(&shopper);
        let (request, call, mut client) = {
            let mut inner = self.inner.borrow_mut();
            let Inner { state, refused, .. } = &mut *inner;
            let call = shopper.call(state, refused);
            let request = inner.state.new_request();
            let idle = inner.idle[target].pop();
            let new = || Client::new(Arc::clone(&self.drive.targets[target]), CALL_LIMIT);
            (request, call, idle.unwrap_or_else(new))
        };
        let method = match call {
            Call::Checkout { .. } | Call::Purchase { .. } => Method::POST,
            Call::ActiveSale | Call::Items | Call::Page { .. } | Call::Cart { .. } => Method::GET,
        };
        let began_us = moments.now_us();
        let response = client
            .send(
                method,
                call.path(run, catalogue),
                Some(run.request(request)),
            )
            .await;
        let ended_us = moments.now_us();
        let body = response.as_ref().ok();
        let body = body.map(|response| (response.status, &response.body[..]));
        let answer = Answer::read(&call, body, catalogue);
        let next = shopper.decide(&answer);
        {
            let mut inner = self.inner.borrow_mut();
            inner.learn(&call, &answer);
            inner.idle[target].push(client);
            inner.in_flight -= 1;
            inner.calls.push(CallRecord {
                request,
                user: shopper.number(),
                target,
                call,
                due_us,
                began_us,
                ended_us,
                answer,
                no_answer: response.err().map(|why| why.kind()),
            });
        }
        self.queue(shopper, next).await;
    }

    async fn queue(&self, shopper: Shopper, next: Next) {
        match next {
            Next::Leave => {}
            Next::Think(pause) => {
                tokio::time::sleep(pause).await;
                self.inner.borrow_mut().ready.push_back(shopper);
            }
            Next::Retry(wait) => {
                tokio::time::sleep(wait).await;
                self.inner.borrow_mut().retries.push_back(shopper);
            }
        }
    }

    /// Users spread over the processes, and a call that failed goes to another one.
    fn target_of(&self, shopper: &Shopper) -> usize {
        let count = self.drive.targets.len();
        let first = shopper.number() as usize + shopper.failures() as usize;
        let mut candidates = (first..first + count).map(|place| place % count);
        let routed = |target: &usize| self.drive.routed[*target].load(Ordering::Relaxed);
        candidates.find(routed).unwrap_or(first % count)
    }
}

impl Inner {
    fn next_shopper(&mut self) -> Shopper {
        self.ticks += 1;
        let first = if self.ticks.is_multiple_of(2) {
            self.retries.pop_front()
        } else {
            None
        };
        let next = first.or_else(|| self.ready.pop_front());
        next.unwrap_or_else(|| Shopper::arrive(&mut self.state))
    }

    fn learn(&mut self, call: &Call, answer: &Answer) {
        self.state.learn(call, answer);
        if let (
            Call::Checkout { item, .. },
            Answer::Refused {
                problem: Problem::AlreadySold,
                ..
            },
        ) = (call, answer)
        {
            self.refused.push(*item);
        }
    }
}
