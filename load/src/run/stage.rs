//! Seats with virtual users on them, for a stage of the run.
//!
//! A stage ends in time, or with the sale: seats stop at the next step, calls that were sent
//! are waited for (each of them ends by its own time-out), and nothing keeps running behind it.

use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::Method;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::answer::Answer;
use crate::client::call::{Call, Endpoint};
use crate::measurement::recorder::Timing;
use crate::pacing::Pacing;
use crate::profiles::virtual_user::{Step, VirtualUser};
use crate::run::end_of_sale::end_of_sale;
use crate::run::{Ending, Run};

/// Pause after a call without an answer: a server that is away is not stormed.
const BREATH: Duration = Duration::from_millis(20);
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
pub async fn run_stage(run: &Rc<Run>, pacing: Pacing, length: Duration) -> Stage {
    let began = run.clock.now();
    run.recorder.borrow_mut().begin_stage(began);
    let pacing = Rc::new(pacing);
    let (stop, stopped) = watch::channel(false);
    let mut seats = JoinSet::new();
    for _ in 0..run.seats {
        seats.spawn_local(seat(Rc::clone(run), Rc::clone(&pacing), stopped.clone()));
    }
    let ending = tokio::select! {
        () = tokio::time::sleep(length) => Ending::TimeUp,
        ending = end_of_sale(run) => ending,
        () = run.interrupt.comes() => Ending::Interrupted,
    };
    let end = run.clock.now();
    let done = run.recorder.borrow().stage().requests;
    stop.send_replace(true);
    pacing.stop(end);
    while seats.join_next().await.is_some() {}
    for wait in pacing.never_started() {
        let timing = Timing {
            start: end.checked_sub(wait).unwrap_or(began),
            latency: wait,
        };
        run.recorder.borrow_mut().record_never_started(timing);
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

async fn seat(run: Rc<Run>, pacing: Rc<Pacing>, mut stopped: watch::Receiver<bool>) {
    let mut virtual_user = arrive(&run);
    let mut answer = None;
    loop {
        if *stopped.borrow() && !virtual_user.is_busy() {
            return;
        }
        let step = virtual_user.next(&mut run.state.borrow_mut(), answer.take().as_ref());
        let pause = match step {
            Step::Call(call) => {
                let start = match pacing.start(run.clock).await {
                    Some(start) => start,
                    None if virtual_user.is_busy() => run.clock.now(),
                    None => return,
                };
                let (got, retry_after) = perform(&run, &call, start).await;
                if let Some(retry_after) = retry_after {
                    virtual_user.asked_to_wait(retry_after);
                }
                let pause = matches!(got, Answer::None).then_some(BREATH);
                answer = Some(got);
                pause
            }
            Step::Think(pause) => pacing.has_think_time().then_some(pause),
            Step::Leave => {
                // Virtual users who leave at once must not keep the others from their turn.
                tokio::task::yield_now().await;
                if *stopped.borrow() {
                    return;
                }
                virtual_user = arrive(&run);
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

fn arrive(run: &Run) -> Box<dyn VirtualUser> {
    let mut state = run.state.borrow_mut();
    run.profile
        .virtual_user(run.users, &run.sold_before, &mut state)
}

/// Makes a call; answers what came back, and for how long the server wants to be left alone.
async fn perform(run: &Run, call: &Call, start: Instant) -> (Answer, Option<Duration>) {
    let request = run.state.borrow_mut().new_request();
    let method = match call.endpoint() {
        Endpoint::Checkout | Endpoint::Purchase => Method::POST,
        Endpoint::ActiveSale | Endpoint::Items | Endpoint::Cart => Method::GET,
    };
    let path = call.path(&run.id, &run.catalogue);
    let response = run.pool.send(method, path, run.id.request(request)).await;
    let latency = run.clock.since(start);
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
        Timing { start, latency },
        !run.profile.expects(call, &answer, at_close),
    );
    let has_sold = {
        let mut state = run.state.borrow_mut();
        let before = state.bought();
        state.learn(call, &answer);
        state.bought() > before
    };
    if has_sold {
        run.recorder.borrow_mut().record_sale(run.clock.now());
    }
    if let Some(history) = &run.history {
        history.borrow_mut().push(request, call, &answer, at_close);
    }
    let retry_after = response.and_then(|response| response.retry_after);
    (answer, retry_after)
}
