//! The claims that wait for Postgres.
//!
//! Guarantees: a claim that a caller waits for comes before those that nobody waits for, so that
//! after an outage the backlog delays no purchase; both queues are bounded.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::domain::clock::Timer;
use crate::domain::error::BackendError;
use crate::domain::outcome::Claim;
use crate::postgres::commit::CommitOutcome;
use crate::redis::keys::SaleKeys;
use crate::selling::open_calls::OpenCall;

/// Claims of a group that nobody waits for. A large group takes long, and callers are in it.
const UNATTENDED_LIMIT: usize = 64;

/// A claim that waits for Postgres.
pub(super) struct PendingClaim {
    pub claim: Claim,
    pub keys: Arc<SaleKeys>,
    pub wait: Timer,
    /// The purchase; it stays open until Postgres has the claim.
    pub _call: OpenCall,
    /// None where nobody waits: the caller has got an answer, that Postgres is away.
    pub answer: Option<oneshot::Sender<Result<CommitOutcome, BackendError>>>,
}

/// Hands claims in. Clones share the queues.
#[derive(Debug, Clone)]
pub(super) struct PendingSender {
    awaited: mpsc::Sender<PendingClaim>,
    unattended: mpsc::Sender<PendingClaim>,
}

/// Takes claims out.
pub(super) struct PendingReceiver {
    awaited: mpsc::Receiver<PendingClaim>,
    unattended: mpsc::Receiver<PendingClaim>,
}

/// Two queues with room for so many claims each.
pub(super) fn pending_claims(room: usize) -> (PendingSender, PendingReceiver) {
    let (to_awaited, awaited) = mpsc::channel(room);
    let (to_unattended, unattended) = mpsc::channel(room);
    let sender = PendingSender {
        awaited: to_awaited,
        unattended: to_unattended,
    };
    let receiver = PendingReceiver {
        awaited,
        unattended,
    };
    (sender, receiver)
}

impl PendingSender {
    /// Hands a claim in. Returns false where its queue has no room.
    pub(super) fn send(&self, pending: PendingClaim) -> bool {
        let queue = match pending.answer {
            Some(_) => &self.awaited,
            None => &self.unattended,
        };
        queue.try_send(pending).is_ok()
    }
}

impl PendingReceiver {
    /// Waits for claims, at most `limit`; none after `stop`, once none is left.
    pub(super) async fn receive(
        &mut self,
        limit: usize,
        stop: &CancellationToken,
    ) -> Vec<PendingClaim> {
        let mut group = Vec::new();
        let mut rest = Vec::new();
        tokio::select! {
            biased;
            _ = self.awaited.recv_many(&mut group, limit) => {}
            _ = self.unattended.recv_many(&mut rest, limit.min(UNATTENDED_LIMIT)) => {}
            () = stop.cancelled() => {}
        }
        group.append(&mut rest);
        group
    }

    /// Adds to a group what waits, until it has `limit` claims.
    pub(super) fn join(&mut self, group: &mut Vec<PendingClaim>, limit: usize) {
        while group.len() < limit
            && let Ok(pending) = self.awaited.try_recv()
        {
            group.push(pending);
        }
        let is_unattended = |pending: &&PendingClaim| pending.answer.is_none();
        let mut unattended = group.iter().filter(is_unattended).count();
        while group.len() < limit
            && unattended < UNATTENDED_LIMIT
            && let Ok(pending) = self.unattended.try_recv()
        {
            group.push(pending);
            unattended += 1;
        }
    }
}
