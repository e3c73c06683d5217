//! Group commit: concurrent claims of a process share one transaction.
//!
//! Guarantees: an answer waits for its commit, and for nothing else; a claim that was handed in is
//! kept until it is in Postgres, whatever happened to Redis or to the caller meanwhile. It never
//! answers success before the commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use crate::domain::clock::{Clock, Timer};
use crate::domain::code::CheckoutCode;
use crate::domain::error::BackendError;
use crate::domain::outcome::{Claim, Outcome};
use crate::postgres::commit::{CommitOutcome, commit};
use crate::postgres::operations::Postgres;
use crate::recovery::correct::correct;
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;
use crate::selling::context::Context;
use crate::selling::open_calls::OpenCall;
use crate::selling::pending_claims::{
    PendingClaim, PendingReceiver, PendingSender, pending_claims,
};
use crate::selling::waiting_codes::WaitingCodes;
use crate::selling::write_state::{SharedWriteState, WriteState};

/// Claims that may wait for Postgres; beyond them purchases are refused before they claim.
const BACKLOG_LIMIT: usize = 20_000;

/// Claims that share one statement.
const GROUP_LIMIT: usize = 256;

/// How long after a failure the next try follows.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Groups that may be on their way at once: a commit that waits in Postgres does not hold up the next
/// group for longer than [`JOIN_WAIT`].
const WORKERS: usize = 2;

/// How long a group waits for the one before, and grows meanwhile.
const JOIN_WAIT: Duration = Duration::from_millis(10);

/// How long after the begin of a group the next one begins. A transaction has a cost of its own, the
/// flush to disk first of all: under load fewer and larger groups leave more of the machine for
/// everything else (docs/performance.md). The first claims after a pause are committed at once.
const GROUP_EVERY: Duration = Duration::from_millis(8);

/// The turn of the group that is on its way, which knows when the last one began.
type Turn = OwnedMutexGuard<Option<Timer>>;

/// Groups whose corrections may be on their way at once. Beyond them a correction is put off.
const CORRECTING_LIMIT: usize = 8;

/// Why a claim or a purchase finds no room.
pub(crate) const FULL: BackendError = BackendError::Full {
    queue: "the queue of purchases that wait for Postgres",
};

/// A claim of which Postgres has another outcome.
struct Correction {
    claim: Claim,
    keys: Arc<SaleKeys>,
    truth: Outcome,
}

/// The handle to hand claims in. Clones share the workers.
#[derive(Debug, Clone)]
pub(crate) struct GroupCommit {
    queue: PendingSender,
    backlog: Arc<AtomicUsize>,
    waiting: WaitingCodes,
    writes: SharedWriteState,
    clock: Clock,
}

impl GroupCommit {
    /// Starts the workers; they end, with nothing left to commit, after `stop`.
    pub(crate) fn start<R: Redis, P: Postgres>(
        context: &Arc<Context<R, P>>,
        stop: &CancellationToken,
    ) -> Self {
        let (queue, receiver) = pending_claims(BACKLOG_LIMIT);
        let receiver = Arc::new(Mutex::new(receiver));
        let backlog = Arc::new(AtomicUsize::new(0));
        let waiting = WaitingCodes::default();
        let writes = SharedWriteState::default();
        let correcting = Arc::new(Semaphore::new(CORRECTING_LIMIT));
        let turn = Arc::<Mutex<Option<Timer>>>::default();
        for _ in 0..WORKERS {
            let worker = Worker {
                context: context.clone(),
                receiver: receiver.clone(),
                backlog: backlog.clone(),
                waiting: waiting.clone(),
                writes: writes.clone(),
                turn: turn.clone(),
                correcting: correcting.clone(),
                kept: Vec::new(),
            };
            context.tasks.spawn(worker.run(stop.clone()));
        }
        Self {
            queue,
            backlog,
            waiting,
            writes,
            clock: context.clock.clone(),
        }
    }

    /// Whether another claim would find room. Call it before claiming.
    pub(crate) fn has_room(&self) -> bool {
        self.backlog.load(Ordering::Relaxed) < BACKLOG_LIMIT
    }

    /// The codes whose claims wait for Postgres.
    pub(crate) fn waiting(&self) -> &WaitingCodes {
        &self.waiting
    }

    /// Whether the order of a code whose claim waits is to be read once more. One read that found
    /// none is enough while Postgres is away: thousands of users who ask again must not keep it busy
    /// when it is back. A server that takes no writes answers reads.
    pub(crate) fn may_read_order(&self, code: &CheckoutCode) -> bool {
        self.writes.get() == WriteState::ReadOnly || self.waiting.has_order(code)
    }

    /// Waits until the claim is in Postgres, or until Postgres failed once: the claim is then
    /// kept and tried again, and the caller may answer "ask again". While Postgres is known to
    /// be away the claim is kept, once for each code, and the caller does not wait.
    pub(crate) async fn commit(
        &self,
        claim: Claim,
        keys: &Arc<SaleKeys>,
        call: OpenCall,
    ) -> Result<CommitOutcome, BackendError> {
        let (answer, outcome) = oneshot::channel();
        let away = self.writes.get() != WriteState::Taken;
        let code = claim.code.clone();
        let is_first = self.waiting.insert(&code);
        if !is_first && away {
            return Err(BackendError::Away);
        }
        let pending = PendingClaim {
            claim,
            keys: keys.clone(),
            wait: self.clock.start_timer(),
            _call: call,
            answer: (!away).then_some(answer),
        };
        self.backlog.fetch_add(1, Ordering::Relaxed);
        if !self.queue.send(pending) {
            self.backlog.fetch_sub(1, Ordering::Relaxed);
            if is_first {
                self.waiting.remove(&code);
            }
            return Err(FULL);
        }
        if away {
            return Err(BackendError::Away);
        }
        outcome.await.map_err(|_| FULL)?
    }
}

struct Worker<R, P> {
    context: Arc<Context<R, P>>,
    receiver: Arc<Mutex<PendingReceiver>>,
    backlog: Arc<AtomicUsize>,
    waiting: WaitingCodes,
    /// Whether commits succeed.
    writes: SharedWriteState,
    /// Held by the group that is on its way.
    turn: Arc<Mutex<Option<Timer>>>,
    /// A permit for each group whose corrections are on their way.
    correcting: Arc<Semaphore>,
    /// Claims whose commit failed; their callers have been answered.
    kept: Vec<PendingClaim>,
}

impl<R: Redis, P: Postgres> Worker<R, P> {
    async fn run(mut self, stop: CancellationToken) {
        while let Some((group, turn)) = self.next_group(&stop).await {
            self.commit(group, turn).await;
        }
    }

    /// The claims kept from before, and what has come since, with the turn of the group if it got
    /// one. None: stopped, nothing left.
    async fn next_group(
        &mut self,
        stop: &CancellationToken,
    ) -> Option<(Vec<PendingClaim>, Option<Turn>)> {
        loop {
            let mut group = std::mem::take(&mut self.kept);
            let mut turn = None;
            if group.is_empty() {
                let mut receiver = self.receiver.lock().await;
                group = receiver.receive(GROUP_LIMIT, stop).await;
                if group.is_empty() {
                    return None;
                }
                turn = tokio::time::timeout(JOIN_WAIT, self.turn()).await.ok();
                receiver.join(&mut group, GROUP_LIMIT);
            } else if let Ok(mut receiver) = self.receiver.try_lock() {
                // No caller waits for the kept ones, but they must not wait for the next purchase:
                // the other worker may hold the receiver until then.
                receiver.join(&mut group, GROUP_LIMIT);
            }
            self.drop_committed(&mut group);
            if !group.is_empty() {
                return Some((group, turn));
            }
        }
    }

    /// Drops the claims that nobody waits for and whose code was committed meanwhile, for a customer
    /// who asked again.
    fn drop_committed(&self, group: &mut Vec<PendingClaim>) {
        let before = group.len();
        group.retain(|pending| {
            pending.answer.is_some() || self.waiting.contains(&pending.claim.code)
        });
        self.backlog
            .fetch_sub(before - group.len(), Ordering::Relaxed);
    }

    /// Waits for the end of the group before, and until [`GROUP_EVERY`] has passed since its begin.
    async fn turn(&self) -> Turn {
        let mut turn = self.turn.clone().lock_owned().await;
        let begun = turn.as_ref().map(Timer::elapsed);
        let wait = begun.map(|begun| GROUP_EVERY.saturating_sub(begun));
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            tokio::time::sleep(wait).await;
        }
        *turn = Some(self.context.clock.start_timer());
        turn
    }

    async fn commit(&mut self, group: Vec<PendingClaim>, turn: Option<Turn>) {
        let claims: Vec<&Claim> = group.iter().map(|pending| &pending.claim).collect();
        let committed = commit(&*self.context.postgres, &claims).await;
        drop(turn);
        match committed {
            Ok(outcomes) => {
                self.writes.note_taken();
                self.answer(group, outcomes);
            }
            // One claim that Postgres will never take must not hold up the others.
            Err(error) if error.is_permanent() => {
                for pending in group {
                    self.commit_alone(pending).await;
                }
            }
            Err(error) => {
                tracing::warn!(claims = group.len(), error = %error, "commit failed; kept");
                self.writes.note_failure(&error);
                self.kept = group;
                for pending in &mut self.kept {
                    if let Some(answer) = pending.answer.take() {
                        let _ = answer.send(Err(BackendError::Away));
                    }
                }
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }

    fn answer(&self, group: Vec<PendingClaim>, outcomes: Vec<CommitOutcome>) {
        let metrics = &self.context.metrics;
        metrics.commit_batch_size.observe(group.len() as f64);
        self.backlog.fetch_sub(group.len(), Ordering::Relaxed);
        let mut corrections = Vec::new();
        for (pending, outcome) in group.into_iter().zip(outcomes) {
            self.waiting.remove(&pending.claim.code);
            let waited = pending.wait.elapsed();
            metrics.commit_wait.observe(waited.as_secs_f64());
            if let CommitOutcome::Committed(committed) = &outcome {
                if committed.is_new {
                    let sold = committed.outcome.sold_count() as u64;
                    metrics.sale_items_sold_total.inc_by(sold);
                }
                if committed.is_corrected {
                    corrections.push(Correction {
                        claim: pending.claim,
                        keys: pending.keys,
                        truth: committed.outcome.clone(),
                    });
                }
            }
            if let Some(answer) = pending.answer {
                // A caller that left asks again with the same code.
                let _ = answer.send(Ok(outcome));
            }
        }
        self.correct(corrections);
    }

    /// Corrects Redis in the background: a correction may wait for a node that hangs, and neither
    /// the answers of its group nor the next group wait for it.
    fn correct(&self, corrections: Vec<Correction>) {
        if corrections.is_empty() {
            return;
        }
        let Ok(permit) = self.correcting.clone().try_acquire_owned() else {
            // The settler finds the same claims in the event stream; so does the audit at the close.
            tracing::warn!(corrections = corrections.len(), "corrections put off");
            return;
        };
        let context = self.context.clone();
        self.context.tasks.spawn(async move {
            for correction in &corrections {
                correct_one(&context, correction).await;
            }
            drop(permit);
        });
    }

    async fn commit_alone(&mut self, pending: PendingClaim) {
        match commit(&*self.context.postgres, &[&pending.claim]).await {
            Ok(outcomes) => self.answer(vec![pending], outcomes),
            Err(error) if error.is_permanent() => {
                // It stays in the event stream, where each settler finds the same error until a
                // person acts.
                tracing::error!(
                    sale = %pending.claim.sale(),
                    user = pending.claim.outcome.user,
                    error = %error,
                    "Postgres refuses this claim for good"
                );
                self.backlog.fetch_sub(1, Ordering::Relaxed);
                self.waiting.remove(&pending.claim.code);
                if let Some(answer) = pending.answer {
                    let _ = answer.send(Err(error));
                }
            }
            Err(_) => self.kept.push(pending),
        }
    }
}

async fn correct_one<R: Redis, P: Postgres>(context: &Context<R, P>, correction: &Correction) {
    let Correction { claim, keys, truth } = correction;
    let (postgres, redis) = (&*context.postgres, &context.redis);
    let corrected = correct(postgres, redis, &context.metrics, keys, claim, truth);
    if let Err(error) = corrected.await {
        // The settler meets the same claim again; so does the audit at the close.
        let sale = claim.sale();
        tracing::warn!(%sale, %error, "correction put off");
    }
}
