//! Group commit: concurrent claims of a process share one statement.
//!
//! Promises: an answer waits for its commit; a claim that was handed in is kept until it is in
//! Postgres, whatever happened to Redis or to the caller meanwhile. It never answers success
//! before the commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::StoreError;
use crate::orders::{self, Committed};
use crate::postgres::Database;
use crate::record::Claim;
use crate::redis_cluster::RedisCluster;
use crate::repair::repair;

/// Claims that may wait for Postgres; beyond them purchases are refused before they claim.
const BACKLOG_LIMIT: usize = 20_000;

/// Claims that share one statement.
const GROUP_LIMIT: usize = 256;

/// How long after a failure Postgres is asked again.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Two groups may be on their way at once: one fills while the other is flushed to disk.
const WORKERS: usize = 2;

struct Pending {
    claim: Claim,
    since: Instant,
    answer: Option<oneshot::Sender<Result<Committed, StoreError>>>,
}

/// The handle to hand claims in. Clones share the workers.
#[derive(Debug, Clone)]
pub struct Committer {
    queue: mpsc::Sender<Pending>,
    backlog: Arc<AtomicUsize>,
    away: Arc<AtomicBool>,
}

impl Committer {
    /// Starts the workers; they end, with nothing left to commit, after `stop`.
    pub fn start(
        db: Arc<Database>,
        redis: RedisCluster,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let (queue, receiver) = mpsc::channel(BACKLOG_LIMIT);
        let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
        let backlog = Arc::new(AtomicUsize::new(0));
        let away = Arc::new(AtomicBool::new(false));
        for _ in 0..WORKERS {
            let worker = Worker {
                db: db.clone(),
                redis: redis.clone(),
                receiver: receiver.clone(),
                backlog: backlog.clone(),
                away: away.clone(),
                kept: Vec::new(),
            };
            tasks.spawn(worker.run(stop.clone()));
        }
        Self {
            queue,
            backlog,
            away,
        }
    }

    /// Whether another claim would find room. Ask before claiming.
    pub fn has_room(&self) -> bool {
        self.backlog.load(Ordering::Relaxed) < BACKLOG_LIMIT
    }

    /// Waits until the claim is in Postgres, or until Postgres failed once: the claim is then
    /// kept and tried again, and the caller may answer "ask again". While Postgres is known to
    /// be away the claim is kept and the caller does not wait.
    pub async fn commit(&self, claim: Claim) -> Result<Committed, StoreError> {
        let (answer, outcome) = oneshot::channel();
        let away = self.away.load(Ordering::Relaxed);
        let pending = Pending {
            claim,
            since: Instant::now(),
            answer: (!away).then_some(answer),
        };
        let full = || StoreError::Full {
            what: "the queue of purchases that wait for Postgres",
        };
        self.backlog.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(pending).is_err() {
            self.backlog.fetch_sub(1, Ordering::Relaxed);
            return Err(full());
        }
        if away {
            return Err(StoreError::Away);
        }
        outcome.await.map_err(|_| full())?
    }
}

struct Worker {
    db: Arc<Database>,
    redis: RedisCluster,
    receiver: Arc<tokio::sync::Mutex<mpsc::Receiver<Pending>>>,
    backlog: Arc<AtomicUsize>,
    /// Set while commits fail.
    away: Arc<AtomicBool>,
    /// Claims whose commit failed; their callers have been answered.
    kept: Vec<Pending>,
}

impl Worker {
    async fn run(mut self, stop: CancellationToken) {
        while let Some(group) = self.next_group(&stop).await {
            self.commit(group).await;
        }
    }

    /// The claims kept from before, and what has come since. None: stopped, nothing left.
    async fn next_group(&mut self, stop: &CancellationToken) -> Option<Vec<Pending>> {
        let mut group = std::mem::take(&mut self.kept);
        if group.is_empty() {
            let mut receiver = self.receiver.lock().await;
            tokio::select! {
                biased;
                received = receiver.recv_many(&mut group, GROUP_LIMIT) => {
                    (received > 0).then_some(group)
                }
                () = stop.cancelled() => None,
            }
        } else {
            // Nobody waits for the kept ones, but they must not wait for the next customer:
            // the other worker may hold the receiver for as long as nobody buys.
            if let Ok(mut receiver) = self.receiver.try_lock() {
                while group.len() < GROUP_LIMIT
                    && let Ok(pending) = receiver.try_recv()
                {
                    group.push(pending);
                }
            }
            Some(group)
        }
    }

    async fn commit(&mut self, group: Vec<Pending>) {
        let claims: Vec<Claim> = group.iter().map(|pending| pending.claim.clone()).collect();
        match orders::commit(&self.db, &claims).await {
            Ok(outcomes) => {
                self.away.store(false, Ordering::Relaxed);
                self.answer(group, outcomes).await;
            }
            // One claim that Postgres will never take must not hold up the others.
            Err(error) if orders::is_hopeless(&error) => {
                for pending in group {
                    self.commit_alone(pending).await;
                }
            }
            Err(error) => {
                tracing::warn!(claims = group.len(), error = %error, "commit failed; kept");
                self.away.store(true, Ordering::Relaxed);
                self.kept = group;
                for pending in &mut self.kept {
                    if let Some(answer) = pending.answer.take() {
                        let _ = answer.send(Err(StoreError::Away));
                    }
                }
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }

    async fn answer(&self, group: Vec<Pending>, outcomes: Vec<Committed>) {
        let metrics = self.db.metrics();
        metrics.commit_batch_size.observe(group.len() as f64);
        self.backlog.fetch_sub(group.len(), Ordering::Relaxed);
        for (pending, outcome) in group.into_iter().zip(outcomes) {
            metrics
                .commit_wait
                .observe(pending.since.elapsed().as_secs_f64());
            if outcome.new {
                let sold = outcome.record.sold_count() as u64;
                metrics.sale_items_sold_total.inc_by(sold);
            }
            if outcome.corrected {
                self.repair(&pending.claim, &outcome).await;
            }
            if let Some(answer) = pending.answer {
                // A caller that left asks again with the same code.
                let _ = answer.send(Ok(outcome));
            }
        }
    }

    async fn commit_alone(&mut self, pending: Pending) {
        match orders::commit(&self.db, std::slice::from_ref(&pending.claim)).await {
            Ok(outcomes) => self.answer(vec![pending], outcomes).await,
            Err(error) if orders::is_hopeless(&error) => {
                // It stays in the events stream, where the settler says the same until a
                // person looks.
                tracing::error!(
                    sale = %pending.claim.sale,
                    user = pending.claim.record.user,
                    error = %error,
                    "Postgres refuses this claim for good"
                );
                self.backlog.fetch_sub(1, Ordering::Relaxed);
                if let Some(answer) = pending.answer {
                    let _ = answer.send(Err(error));
                }
            }
            Err(_) => self.kept.push(pending),
        }
    }

    async fn repair(&self, claim: &Claim, outcome: &Committed) {
        if let Err(error) = repair(&self.db, &self.redis, claim, &outcome.record).await {
            // The settler meets the same claim again; so does the audit at the close.
            tracing::warn!(sale = %claim.sale, error = %error, "repair put off");
        }
    }
}
