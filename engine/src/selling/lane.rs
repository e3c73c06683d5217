//! Lanes: requests that arrive while a call is on its way share the next call.
//!
//! Guarantees: a request on an idle lane starts a call at once, but within the pause that follows a
//! failure, or any call of a lane that has a pause; one call of a lane is on its way at a time; the queue is bounded, and a full one refuses.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::error::{BackendError, SharedError};

/// How often a lane yields to other tasks before it calls.
const PASSES_BEFORE_CALL: u32 = 4;

/// How long after a call that failed the next one begins. What waited for a node that hangs fails together
/// otherwise: some thousands of requests, which keep the process from those that succeed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(20);

type Waiting<Q, A> = (Q, oneshot::Sender<Result<A, SharedError>>);

/// A queue whose waiting requests share the next call; clones share it.
#[derive(Debug)]
pub(crate) struct Lane<Q, A> {
    name: &'static str,
    queue: mpsc::Sender<Waiting<Q, A>>,
}

impl<Q, A> Clone for Lane<Q, A> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            queue: self.queue.clone(),
        }
    }
}

/// Bounds of a lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneLimits {
    /// Requests that share a call.
    pub batch: usize,
    /// Requests that may wait.
    pub queue: usize,
    /// How long after a call the next one begins at the earliest: more requests share it.
    pub pause: Duration,
}

impl<Q: Send + 'static, A: Send + 'static> Lane<Q, A> {
    /// Starts a lane. `call` gets the requests of a batch and answers each, in the same order.
    /// The lane ends after `stop`, once nothing waits.
    pub(crate) fn start<F, Fut>(
        name: &'static str,
        limits: LaneLimits,
        tasks: &TaskTracker,
        stop: &CancellationToken,
        call: F,
    ) -> Self
    where
        F: Fn(Vec<Q>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<A>, BackendError>> + Send,
    {
        let (queue, mut receiver) = mpsc::channel::<Waiting<Q, A>>(limits.queue);
        let stop = stop.clone();
        tasks.spawn(async move {
            let mut waiting = Vec::with_capacity(limits.batch);
            loop {
                let received = tokio::select! {
                    biased;
                    received = receiver.recv_many(&mut waiting, limits.batch) => received,
                    () = stop.cancelled() => 0,
                };
                if received == 0 {
                    return;
                }
                // Requests that are in their sockets, or read and not yet parsed, join the batch:
                // each pass runs their tasks and polls the sockets once more. An idle process
                // passes in some microseconds.
                for _ in 0..PASSES_BEFORE_CALL {
                    if waiting.len() >= limits.batch {
                        break;
                    }
                    tokio::task::yield_now().await;
                    while waiting.len() < limits.batch
                        && let Ok(request) = receiver.try_recv()
                    {
                        waiting.push(request);
                    }
                }
                let (requests, senders): (Vec<Q>, Vec<_>) = waiting.drain(..).unzip();
                let answers = call(requests).await;
                let pause = match &answers {
                    Ok(_) => limits.pause,
                    Err(_) => limits.pause.max(PAUSE_AFTER_FAILURE),
                };
                answer(senders, answers);
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
        });
        Self { name, queue }
    }

    /// Queues a request and waits for its answer.
    pub(crate) async fn ask(&self, request: Q) -> Result<A, SharedError> {
        let full = || Arc::new(BackendError::Full { queue: self.name });
        let (sender, answer) = oneshot::channel();
        self.queue.try_send((request, sender)).map_err(|_| full())?;
        answer.await.map_err(|_| full())?
    }
}

/// Hands the answers of a call to those who wait. A caller that left needs none.
fn answer<A>(
    senders: Vec<oneshot::Sender<Result<A, SharedError>>>,
    answers: Result<Vec<A>, BackendError>,
) {
    match answers {
        Ok(answers) => {
            for (sender, answer) in senders.into_iter().zip(answers) {
                let _ = sender.send(Ok(answer));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for sender in senders {
                let _ = sender.send(Err(error.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn requests_that_come_during_a_call_share_the_next_one() {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let gate = Arc::new(Semaphore::new(0));
        let (sizes, mut seen) = mpsc::unbounded_channel();
        let opened = gate.clone();
        let limits = LaneLimits {
            batch: 10,
            queue: 100,
            pause: Duration::ZERO,
        };
        let lane = Lane::start(
            "test lane",
            limits,
            &tasks,
            &stop,
            move |batch: Vec<u32>| {
                let (gate, sizes) = (opened.clone(), sizes.clone());
                async move {
                    sizes.send(batch.len()).unwrap();
                    gate.acquire().await.unwrap().forget();
                    Ok(batch.iter().map(|n| n * 2).collect())
                }
            },
        );

        let first = tokio::spawn({
            let lane = lane.clone();
            async move { lane.ask(1).await }
        });
        assert_eq!(seen.recv().await, Some(1));
        let later: Vec<_> = (2..7)
            .map(|n| {
                let lane = lane.clone();
                tokio::spawn(async move { lane.ask(n).await })
            })
            .collect();
        tokio::task::yield_now().await;
        gate.add_permits(2);
        assert_eq!(first.await.unwrap().unwrap(), 2);
        assert_eq!(seen.recv().await, Some(5));
        for (n, asked) in (2..7).zip(later) {
            assert_eq!(asked.await.unwrap().unwrap(), n * 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_wait_while_calls_fail_fail_batch_by_batch() {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let limits = LaneLimits {
            batch: 10,
            queue: 100,
            pause: Duration::ZERO,
        };
        let call = |_| async { Err(BackendError::Unseeded) };
        let lane: Lane<u32, u32> = Lane::start("test lane", limits, &tasks, &stop, call);
        let begun = tokio::time::Instant::now();
        let ask = |n| {
            let lane = lane.clone();
            tokio::spawn(async move {
                lane.ask(n).await.unwrap_err();
                begun.elapsed()
            })
        };
        let mut failed_after = Vec::new();
        for asked in (0..30).map(ask).collect::<Vec<_>>() {
            failed_after.push(asked.await.unwrap());
        }
        let batches = [0, 1, 2].map(|n| PAUSE_AFTER_FAILURE * n);
        assert!(failed_after.iter().all(|after| {
            let is_near = |batch: &Duration| after.abs_diff(*batch) < Duration::from_millis(5);
            batches.iter().any(is_near)
        }));
        failed_after.dedup();
        assert!(failed_after.len() >= 3, "{failed_after:?}");
    }

    #[tokio::test]
    async fn a_full_lane_refuses_and_an_error_reaches_everybody() {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let gate = Arc::new(Semaphore::new(0));
        let opened = gate.clone();
        let limits = LaneLimits {
            batch: 1,
            queue: 1,
            pause: Duration::ZERO,
        };
        let lane: Lane<u32, u32> = Lane::start("test lane", limits, &tasks, &stop, move |_| {
            let gate = opened.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                Err(BackendError::Unseeded)
            }
        });
        let ask = |n| {
            let lane = lane.clone();
            tokio::spawn(async move { lane.ask(n).await })
        };
        let in_call = ask(1);
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        let queued = ask(2);
        tokio::task::yield_now().await;
        let refused = ask(3).await.unwrap().unwrap_err();
        assert!(matches!(
            *refused,
            BackendError::Full { queue: "test lane" }
        ));
        gate.add_permits(2);
        for asked in [in_call, queued] {
            let error = asked.await.unwrap().unwrap_err();
            assert!(matches!(*error, BackendError::Unseeded));
        }
    }
}
