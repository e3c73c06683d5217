//! Merges what Postgres has as sold into a sale whose master may miss its last claims, and lets claims
//! wait for the merge.
//!
//! Guarantees: the claims that follow a failed call to the sale's slot are sent behind a merge where one
//! can be made within [`LONGEST_WAIT`]. A claim of an item that is sold already would conflict in
//! Postgres, which decides: claims that do not wait are slower, and not wrong.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::domain::error::BackendError;
use crate::domain::sale::Sale;
use crate::postgres::operations::Postgres;
use crate::recovery::merge_sale::Merged;
use crate::redis::commands::Redis;
use crate::selling::context::Context;

/// How often a process checks whether another master holds the sale.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// When the next check follows while another process merges.
const CHECK_AGAIN_AFTER: Duration = Duration::from_millis(25);

/// When the next try follows after an error, unless a claim asks for one.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// How long claims wait for a merge at the most.
const LONGEST_WAIT: Duration = Duration::from_millis(300);

/// Whether the sale's master may miss claims, as far as this process has noticed.
#[derive(Debug, Default)]
pub(crate) struct SaleMerge {
    may_miss_claims: AtomicBool,
    /// Notified when claims wait for a try.
    awaited: Notify,
    /// How many tries have ended.
    tries: watch::Sender<u64>,
}

impl SaleMerge {
    /// Notes that a call to the sale's slot failed: when it answers again, another master may hold it.
    pub(crate) fn note_failure(&self) {
        self.may_miss_claims.store(true, Ordering::Relaxed);
    }

    /// Waits, where the master may miss claims, until a merge was tried.
    pub(crate) async fn before_claims(&self) {
        if !self.may_miss_claims.load(Ordering::Relaxed) {
            return;
        }
        let mut tries = self.tries.subscribe();
        self.awaited.notify_one();
        let tried = tokio::time::timeout(LONGEST_WAIT, tries.changed()).await;
        if tried.is_err() {
            // Batches of claims follow each other: they do not wait for the same merge in turn.
            self.may_miss_claims.store(false, Ordering::Relaxed);
        }
    }

    /// Checks now and then whether another master holds the sale, and merges. Runs until it is stopped.
    pub(crate) async fn run<R: Redis, P: Postgres>(
        &self,
        context: &Context<R, P>,
        sale: &Sale,
        stop: &CancellationToken,
    ) {
        loop {
            let merge = context.restorer();
            let merged = merge.merge_sale(&*context.postgres, sale).await;
            let is_merged_elsewhere = matches!(merged, Ok(Merged::NotYet));
            let pause = self.note_try(sale, merged);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.awaited.notified(), if !is_merged_elsewhere => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Notes how a try ended; returns when the next one follows.
    fn note_try(&self, sale: &Sale, merged: Result<Merged, BackendError>) -> Duration {
        let (is_whole, pause) = match merged {
            Ok(Merged::Purchases(purchases)) => {
                tracing::warn!(sale = %sale.id, purchases, "sale merged with Postgres");
                (true, CHECK_EVERY)
            }
            // A sale that Redis lost is restored, with all that was sold.
            Ok(Merged::Whole) | Err(BackendError::Unseeded) => (true, CHECK_EVERY),
            // Claims wait for the end of the merge of another process.
            Ok(Merged::NotYet) => return CHECK_AGAIN_AFTER,
            Err(error) => {
                tracing::debug!(sale = %sale.id, %error, "sale not merged");
                (false, RETRY_AFTER)
            }
        };
        if is_whole {
            self.may_miss_claims.store(false, Ordering::Relaxed);
        }
        self.tries.send_modify(|tries| *tries += 1);
        pause
    }
}
