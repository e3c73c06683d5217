//! Seats with visitors on them, for a stage of the run.
//!
//! A stage ends in time: seats stop at the next step, calls that were sent are waited
//! for (each of them ends by its own time-out), and nothing keeps running behind it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::answer::Answer;
use crate::call::{Call, Endpoint};
use crate::catalogue::{Catalogue, ItemNo, Sale};
use crate::client::{Client, Target};
use crate::error::LoadError;
use crate::history::History;
use crate::market::Market;
use crate::pace::Pace;
use crate::pool::Pool;
use crate::profile::Profile;
use crate::recorder::Recorder;
use crate::run_id::RunId;
use crate::visitor::{Step, Visitor};

/// How often the sale is looked at to see whether it is sold out.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a call without an answer: a server that is away is not stormed.
const BREATH: Duration = Duration::from_millis(20);

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
    /// The items of the sale.
    pub catalogue: Catalogue,
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
}

/// Why a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Its time was up.
    TimeUp,
    /// Everything was sold, and the run was to go on until then.
    SoldOut,
    /// The sale closed, and the run was to go on until sold out.
    SaleClosed,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

/// A stage that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    /// Why.
    pub ending: Ending,
    /// Its length.
    pub length: Duration,
    /// Open loop: calls that were due and never started.
    pub backlog: u64,
}

/// When a stage ends before its time.
#[derive(Debug, Clone)]
pub enum Until {
    /// Never.
    TimeUp,
    /// When the target says that everything is sold.
    SoldOut(Arc<Target>),
}

/// Runs all seats for at most `length`. Must be called within a `LocalSet`.
///
/// # Errors
/// When the system refuses to tell signals.
pub async fn stage(
    run: &Rc<Run>,
    pace: Pace,
    length: Duration,
    until: &Until,
) -> Result<Stage, LoadError> {
    let began = Instant::now();
    run.recorder.borrow_mut().begin_stage();
    let pace = Rc::new(pace);
    let (stop, stopped) = watch::channel(false);
    let mut seats = JoinSet::new();
    for _ in 0..run.seats {
        seats.spawn_local(seat(Rc::clone(run), Rc::clone(&pace), stopped.clone()));
    }
    let ending = ending(run, length, until).await;
    let backlog = pace.backlog();
    stop.send_replace(true);
    pace.stop();
    while seats.join_next().await.is_some() {}
    Ok(Stage {
        ending: ending?,
        length: began.elapsed(),
        backlog,
    })
}

async fn ending(run: &Run, length: Duration, until: &Until) -> Result<Ending, LoadError> {
    let signals = |source| LoadError::System {
        what: "listen for signals",
        source,
    };
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(signals)?;
    tokio::select! {
        () = tokio::time::sleep(length) => Ok(Ending::TimeUp),
        ending = sale_ended(run, until) => Ok(ending),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map(|()| Ending::Interrupted).map_err(signals)
        }
        _ = terminate.recv() => Ok(Ending::Interrupted),
    }
}

async fn sale_ended(run: &Run, until: &Until) -> Ending {
    let Until::SoldOut(target) = until else {
        return std::future::pending().await;
    };
    let mut client = Client::new(Arc::clone(target), LOOK_TIMEOUT);
    loop {
        if run.market.borrow().is_sold_out() {
            return Ending::SoldOut;
        }
        // No answer, or a failure, says nothing about the sale: look again.
        if let Ok((status, body)) = client.get("/sales/active").await {
            match serde_json::from_slice::<Sale>(&body) {
                Ok(sale) if sale.id != run.catalogue.sale() => return Ending::SaleClosed,
                Ok(sale) if sale.items_sold >= sale.total_items => return Ending::SoldOut,
                _ if status == 404 => return Ending::SaleClosed,
                _ => {}
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
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
                let got = perform(&run, &call, start).await;
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

async fn perform(run: &Run, call: &Call, start: Instant) -> Answer {
    let request = run.market.borrow_mut().new_request();
    let method = match call.endpoint() {
        Endpoint::Checkout | Endpoint::Purchase => Method::POST,
        Endpoint::ActiveSale | Endpoint::Items | Endpoint::Cart => Method::GET,
    };
    let path = call.path(&run.id, &run.catalogue);
    let response = run.pool.send(method, path, run.id.request(request)).await;
    let latency = start.elapsed();
    let body = response
        .as_ref()
        .ok()
        .map(|(status, body)| (*status, &body[..]));
    let answer = Answer::read(call, body, &run.catalogue);
    run.recorder.borrow_mut().record(
        call.endpoint(),
        answer.status().unwrap_or(0),
        latency,
        !run.profile.expects(call, &answer),
    );
    run.market.borrow_mut().learn(call, &answer);
    if let Some(history) = &run.history {
        history.borrow_mut().push(request, call, &answer);
    }
    answer
}
