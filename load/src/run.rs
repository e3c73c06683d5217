//! Seats with visitors on them, for a stage of the run.
//!
//! A stage ends in time, or with the sale: seats stop at the next step, calls that were sent
//! are waited for (each of them ends by its own time-out), and nothing keeps running behind it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::answer::Answer;
use crate::call::{Call, Endpoint};
use crate::catalogue::{Catalogue, ItemNo};
use crate::client::Target;
use crate::history::History;
use crate::interrupt::Interrupt;
use crate::market::Market;
use crate::pace::Pace;
use crate::pool::Pool;
use crate::profile::Profile;
use crate::recorder::Recorder;
use crate::run_id::RunId;
use crate::visitor::{Step, Visitor};
use crate::watch::end_of_sale;

/// Pause after a call without an answer: a server that is away is not stormed.
const BREATH: Duration = Duration::from_millis(20);
/// How far a clock of the API may be ahead of this one at the close.
const CLOCK_SKEW: Duration = Duration::from_secs(1);

/// What a run works on.
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// The kind of visitors.
    pub profile: Profile,
    /// See [`Profile::visitor`].
    pub users: u32,
    /// Visitors at the same time.
    pub seats: u32,
    /// Where the API is.
    pub targets: Vec<Arc<Target>>,
    /// The items of the sale.
    pub catalogue: Catalogue,
    /// When the sale ends, where the API says so.
    pub closes_at: Option<Instant>,
    /// Items that were sold before the run; only the profile `refused` asks for them.
    pub sold_before: Rc<[ItemNo]>,
    /// What the users know.
    pub market: RefCell<Market>,
    /// The connections.
    pub pool: Pool,
    /// The counts.
    pub recorder: RefCell<Recorder>,
    /// The calls, where a check follows.
    pub history: Option<RefCell<History>>,
    /// Whether it is to end.
    pub interrupt: Interrupt,
}

impl Run {
    /// Whether the sale has ended or is about to.
    pub(crate) fn close_is_due(&self) -> bool {
        self.closes_at
            .is_some_and(|at| Instant::now() + CLOCK_SKEW >= at)
    }
}

/// Why a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Its time was up.
    TimeUp,
    /// Everything was sold.
    SoldOut,
    /// The sale ended, or another one began.
    SaleEnded,
    /// Every item has been offered once; only the profile `mixed` goes by that.
    CatalogueUsedUp,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

/// A stage that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    /// Why.
    pub ending: Ending,
    /// Until it was ended; the wait for the last answers comes on top.
    pub length: Duration,
    /// Calls that were answered, or given up, within its length.
    pub done: u64,
    /// Open loop: calls that were due and never started.
    pub never_started: u64,
}

/// Runs all seats for at most `length`. Must be called within a `LocalSet`.
pub async fn stage(run: &Rc<Run>, pace: Pace, length: Duration) -> Stage {
    let began = Instant::now();
    run.recorder.borrow_mut().begin_stage();
    let pace = Rc::new(pace);
    let (stop, stopped) = watch::channel(false);
    let mut seats = JoinSet::new();
    for _ in 0..run.seats {
        seats.spawn_local(seat(Rc::clone(run), Rc::clone(&pace), stopped.clone()));
    }
    let ending = tokio::select! {
        () = tokio::time::sleep(length) => Ending::TimeUp,
        ending = end_of_sale(run) => ending,
        () = run.interrupt.comes() => Ending::Interrupted,
    };
    let end = Instant::now();
    let done = run.recorder.borrow().stage().requests;
    stop.send_replace(true);
    pace.stop(end);
    while seats.join_next().await.is_some() {}
    for wait in pace.never_started() {
        run.recorder.borrow_mut().record_never_started(wait);
    }
    let never_started = run.recorder.borrow().stage().never_started;
    let ending = if run.interrupt.has_come() {
        // It may have come while the last answers were waited for.
        Ending::Interrupted
    } else {
        ending
    };
    Stage {
        ending,
        length: end.duration_since(began),
        done,
        never_started,
    }
}

async fn seat(run: Rc<Run>, pace: Rc<Pace>, mut stopped: watch::Receiver<bool>) {
    let mut visitor = arrive(&run);
    let mut answer = None;
    loop {
        if *stopped.borrow() && !visitor.is_busy() {
            return;
        }
        let step = visitor.next(&mut run.market.borrow_mut(), answer.take().as_ref());
        let pause = match step {
            Step::Call(call) => {
                let start = match pace.start().await {
                    Some(start) => start,
                    None if visitor.is_busy() => Instant::now(),
                    None => return,
                };
                let (got, retry_after) = perform(&run, &call, start).await;
                if let Some(retry_after) = retry_after {
                    visitor.asked_to_wait(retry_after);
                }
                let pause = matches!(got, Answer::None).then_some(BREATH);
                answer = Some(got);
                pause
            }
            Step::Think(pause) => pace.lets_think().then_some(pause),
            Step::Leave => {
                // Visitors who leave at once must not keep the others from their turn.
                tokio::task::yield_now().await;
                if *stopped.borrow() {
                    return;
                }
                visitor = arrive(&run);
                None
            }
        };
        if let Some(pause) = pause {
            let stop = stopped.wait_for(|stopped| *stopped);
            // Either way the next round decides.
            let _ = tokio::time::timeout(pause, stop).await;
        }
    }
}

fn arrive(run: &Run) -> Box<dyn Visitor> {
    let mut market = run.market.borrow_mut();
    run.profile
        .visitor(run.users, &run.sold_before, &mut market)
}

/// Makes a call; answers what came back, and for how long the server wants to be left alone.
async fn perform(run: &Run, call: &Call, start: Instant) -> (Answer, Option<Duration>) {
    let request = run.market.borrow_mut().new_request();
    let method = match call.endpoint() {
        Endpoint::Checkout | Endpoint::Purchase => Method::POST,
        Endpoint::ActiveSale | Endpoint::Items | Endpoint::Cart => Method::GET,
    };
    let path = call.path(&run.id, &run.catalogue);
    let response = run.pool.send(method, path, run.id.request(request)).await;
    let latency = start.elapsed();
    if let Err(why) = &response {
        run.recorder.borrow_mut().record_no_answer(why);
    }
    let response = response.ok();
    let body = response
        .as_ref()
        .map(|response| (response.status, &response.body[..]));
    let answer = Answer::read(call, body, &run.catalogue);
    let at_close = run.close_is_due();
    run.recorder.borrow_mut().record(
        call.endpoint(),
        answer.status().unwrap_or(0),
        latency,
        !run.profile.expects(call, &answer, at_close),
    );
    run.market.borrow_mut().learn(call, &answer);
    if let Some(history) = &run.history {
        history.borrow_mut().push(request, call, &answer, at_close);
    }
    let retry_after = response.and_then(|response| response.retry_after);
    (answer, retry_after)
}
