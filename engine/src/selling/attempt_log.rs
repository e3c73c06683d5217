//! The log of answered checkout attempts.
//!
//! Guarantees: every attempt is in a Redis stream before it is answered, and stays in this process
//! until Postgres has it, exactly once (invariant 7). [`crate::selling::settle_own_attempts`] brings
//! them there; entries that outlive their process are settled by another one
//! ([`crate::recovery::settle_abandoned`]).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::domain::attempt::{Attempt, AttemptRequest};
use crate::domain::clock::Clock;
use crate::domain::ids::{ItemId, RequestId, UserId};
use crate::observability::metrics::Metrics;
use crate::selling::context::Context;
use crate::selling::open_calls::OpenCall;

/// Attempts of one stream entry, answered and not yet in Postgres.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Key of the stream.
    pub stream: Arc<str>,
    /// The entry's id.
    pub entry: String,
    /// What it holds.
    pub attempts: Vec<Attempt>,
    /// The call that put something into carts; it stays open until Postgres has the attempts.
    pub _call: Option<OpenCall>,
}

/// This process's part of the log.
#[derive(Debug)]
pub(crate) struct AttemptLog {
    process: u64,
    drawn: AtomicU64,
    held: AtomicUsize,
    limit: usize,
    batch: usize,
    answered: Mutex<VecDeque<Answered>>,
    is_batch_full: Notify,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl AttemptLog {
    /// An empty log, in which `limit` attempts may wait for Postgres. `batch` attempts are settled
    /// at once.
    pub(crate) fn new<R, P>(context: &Context<R, P>, limit: usize, batch: usize) -> Arc<Self> {
        Arc::new(Self {
            process: context.random.next_u64(),
            drawn: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            limit,
            batch,
            answered: Mutex::default(),
            is_batch_full: Notify::new(),
            metrics: context.metrics.clone(),
            clock: context.clock.clone(),
        })
    }

    /// Draws an id for an attempt and notes its time and what the client sent.
    pub(crate) fn draw(
        &self,
        user: Option<&UserId>,
        item: Option<&ItemId>,
        request_id: &RequestId,
    ) -> AttemptRequest {
        let n = self.drawn.fetch_add(1, Ordering::Relaxed);
        AttemptRequest {
            id: Uuid::from_u64_pair(self.process, n),
            at_us: self.clock.now_us(),
            user: user.cloned(),
            item: item.cloned(),
            request_id: request_id.clone(),
        }
    }

    /// Whether another attempt may be answered. Full means that Postgres has been away long.
    pub(crate) fn has_room(&self) -> bool {
        self.held.load(Ordering::Relaxed) < self.limit
    }

    /// Counts attempts that a sale with `attempts: bestEffort` dropped.
    pub(crate) fn count_dropped(&self, count: usize) {
        self.metrics.attempts_dropped.inc_by(count as u64);
    }

    /// Keeps what is about to be answered until Postgres has it. Call it before the answer leaves.
    pub(crate) fn keep(&self, answered: Answered) {
        let count = answered.attempts.len();
        // Counted first: what is in the queue may be settled, and counted off, at once.
        let held = self.held.fetch_add(count, Ordering::Relaxed) + count;
        self.lock().push_back(answered);
        self.metrics.attempts_unsettled.set(held as i64);
        if held >= self.batch {
            self.is_batch_full.notify_one();
        }
    }

    /// Takes the oldest attempts, about a batch of them; none where there are none.
    pub(crate) fn take(&self) -> Option<Vec<Answered>> {
        let mut queue = self.lock();
        let mut count = 0;
        let mut entries = 0;
        while entries < queue.len() && count < self.batch {
            count += queue[entries].attempts.len();
            entries += 1;
        }
        let oldest = queue.front().and_then(|a| a.attempts.first());
        let lag_us = oldest.map_or(0, |a| self.clock.now_us() - a.request.at_us);
        self.metrics.settle_lag.set((lag_us as f64 / 1e6).max(0.0));
        (entries > 0).then(|| queue.drain(..entries).collect())
    }

    /// Puts attempts back that could not be settled.
    pub(crate) fn put_back(&self, batch: Vec<Answered>) {
        let mut queue = self.lock();
        for answered in batch.into_iter().rev() {
            queue.push_front(answered);
        }
    }

    /// Counts attempts off that Postgres has.
    pub(crate) fn count_settled(&self, count: usize) {
        let held = self.held.fetch_sub(count, Ordering::Relaxed) - count;
        self.metrics.attempts_unsettled.set(held as i64);
    }

    /// Whether Postgres has everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.load(Ordering::Relaxed) == 0
    }

    /// Waits until a batch is full.
    pub(crate) async fn await_batch(&self) {
        self.is_batch_full.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Answered>> {
        // A queue is whole between any two statements, so a panic elsewhere spoils nothing.
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
