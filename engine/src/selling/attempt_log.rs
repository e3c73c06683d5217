//! The log of answered checkout attempts.
//!
//! Guarantees: every attempt is in a Redis stream before it is answered, and stays in this process
//! until Postgres has it, exactly once (invariant 7). The process settles its own attempts and then
//! deletes their entries; entries that outlive their process are settled by another one
//! ([`crate::recovery::settle_abandoned`]).

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::domain::attempt::{Attempt, AttemptRequest};
use crate::domain::clock::Clock;
use crate::domain::error::BackendError;
use crate::domain::ids::{ItemId, RequestId, UserId};
use crate::observability::metrics::Metrics;
use crate::postgres::operations::Postgres;
use crate::redis::commands::Redis;
use crate::redis::streams;
use crate::selling::context::Context;

/// Attempts that one statement settles.
const SETTLE_LIMIT: usize = 5_000;

/// How long answered attempts wait at most before they are settled.
const SETTLE_EVERY: Duration = Duration::from_millis(100);

/// How long after a failure the next try follows.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Attempts of one stream entry, answered and not yet in Postgres.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Key of the stream.
    pub stream: Arc<str>,
    /// The entry's id.
    pub entry: String,
    /// What it holds.
    pub attempts: Vec<Attempt>,
}

/// This process's part of the log.
#[derive(Debug)]
pub(crate) struct AttemptLog {
    process: u64,
    drawn: AtomicU64,
    held: AtomicUsize,
    limit: usize,
    answered: Mutex<VecDeque<Answered>>,
    many: Notify,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl AttemptLog {
    /// Starts settling in the background. `limit` attempts may wait for Postgres. After `stop`
    /// it ends when everything is settled.
    pub(crate) fn start<R: Redis, P: Postgres>(
        context: &Arc<Context<R, P>>,
        limit: usize,
        stop: &CancellationToken,
    ) -> Arc<Self> {
        let log = Arc::new(Self {
            process: context.random.next_u64(),
            drawn: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            limit,
            answered: Mutex::default(),
            many: Notify::new(),
            metrics: context.metrics.clone(),
            clock: context.clock.clone(),
        });
        let settling = Settling {
            log: log.clone(),
            context: context.clone(),
        };
        let stop = stop.clone();
        context.tasks.spawn(async move { settling.run(stop).await });
        log
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
        if held >= SETTLE_LIMIT {
            self.many.notify_one();
        }
    }

    fn take(&self) -> Option<Vec<Answered>> {
        let mut queue = self.lock();
        let mut count = 0;
        let mut entries = 0;
        while entries < queue.len() && count < SETTLE_LIMIT {
            count += queue[entries].attempts.len();
            entries += 1;
        }
        let oldest = queue.front().and_then(|a| a.attempts.first());
        let lag_us = oldest.map_or(0, |a| self.clock.now_us() - a.request.at_us);
        self.metrics.settle_lag.set((lag_us as f64 / 1e6).max(0.0));
        (entries > 0).then(|| queue.drain(..entries).collect())
    }

    fn put_back(&self, batch: Vec<Answered>) {
        let mut queue = self.lock();
        for answered in batch.into_iter().rev() {
            queue.push_front(answered);
        }
    }

    fn count_settled(&self, count: usize) {
        let held = self.held.fetch_sub(count, Ordering::Relaxed) - count;
        self.metrics.attempts_unsettled.set(held as i64);
    }

    fn is_empty(&self) -> bool {
        self.held.load(Ordering::Relaxed) == 0
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Answered>> {
        // A queue is whole between any two statements, so a panic elsewhere spoils nothing.
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The background task of the log.
struct Settling<R, P> {
    log: Arc<AttemptLog>,
    context: Arc<Context<R, P>>,
}

impl<R: Redis, P: Postgres> Settling<R, P> {
    async fn run(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.log.many.notified() => {}
                () = tokio::time::sleep(SETTLE_EVERY) => {}
                () = stop.cancelled() => {}
            }
            while let Some(batch) = self.log.take() {
                if let Err(error) = self.settle(&batch).await {
                    tracing::warn!(error = %error, entries = batch.len(), "attempts kept");
                    self.log.put_back(batch);
                    tokio::time::sleep(RETRY_AFTER).await;
                    break;
                }
            }
            if stop.is_cancelled() && self.log.is_empty() {
                return;
            }
        }
    }

    async fn settle(&self, batch: &[Answered]) -> Result<(), BackendError> {
        let attempts = batch.iter().flat_map(|answered| &answered.attempts);
        let attempts: Vec<&Attempt> = attempts.collect();
        self.context.postgres.append_attempts(&attempts).await?;
        self.log.count_settled(attempts.len());
        if let Err(error) = self.delete(batch).await {
            // A settler finds the entries, finds them settled and deletes them.
            tracing::debug!(error = %error, "settled entries left in their stream");
        }
        Ok(())
    }

    async fn delete(&self, batch: &[Answered]) -> Result<(), BackendError> {
        let mut by_stream = HashMap::<&str, Vec<&str>>::new();
        for answered in batch {
            let entries = by_stream.entry(&answered.stream).or_default();
            entries.push(&answered.entry);
        }
        for (stream, entries) in by_stream {
            let entries = entries.into_iter();
            streams::delete(&self.context.redis, "log", stream, entries).await?;
        }
        Ok(())
    }
}
