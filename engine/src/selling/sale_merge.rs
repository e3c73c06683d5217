//! Merges what Postgres has as sold into a sale whose master may miss its last claims, and lets claims
//! wait for the merge.
//!
//! Guarantees: the claims that follow a failed call to the sale's slot are sent behind a merge where one
//! can be made within [`LONGEST_WAIT`]. A claim of an item that is sold already would conflict in
//! Postgres, which decides: claims that do not wait are slower, and not wrong.

use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::domain::error::BackendError;
use crate::domain::sale::Sale;
use crate::postgres::operations::Postgres;
use crate::recovery::merge_sale::Merged;
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;
use crate::redis::scripts::check_whole::check_whole;
use crate::selling::context::Context;

/// How often a process checks whether another master holds the sale.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// When the next check follows while another process merges.
const CHECK_AGAIN_AFTER: Duration = Duration::from_millis(25);

/// When the next try follows after an error, unless claims wait for one.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// How long claims wait for a merge at the most.
const LONGEST_WAIT: Duration = Duration::from_millis(300);

/// Whether the sale's master may miss claims, as far as this process has noticed.
#[derive(Debug, Default)]
pub(crate) struct SaleMerge {
    may_miss_claims: watch::Sender<bool>,
    /// Notified when claims wait for a merge.
    awaited: Notify,
}

impl SaleMerge {
    /// Notes that a call to the sale's slot failed: when it answers again, another master may hold it.
    pub(crate) fn note_failure(&self) {
        self.may_miss_claims.send_replace(true);
    }

    /// Waits for a merge where the master misses claims. Does not wait for a master that is away.
    pub(crate) async fn before_claims(&self, redis: &impl Redis, keys: &SaleKeys) {
        if !*self.may_miss_claims.borrow() {
            return;
        }
        match check_whole(redis, &keys.meta, keys.format).await {
            Ok(checked) if !checked.is_whole => {}
            Ok(_) => {
                self.may_miss_claims.send_replace(false);
                return;
            }
            // The claims find the same.
            Err(_) => return,
        }
        self.awaited.notify_one();
        let mut may_miss_claims = self.may_miss_claims.subscribe();
        let merged = may_miss_claims.wait_for(|may_miss| !may_miss);
        let waited = tokio::time::timeout(LONGEST_WAIT, merged).await.is_ok();
        if !waited {
            // Batches of claims follow each other: they do not wait for the same merge in turn.
            self.may_miss_claims.send_replace(false);
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
            let pause = self.note_try(sale, merged);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.awaited.notified() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Notes how a try ended; returns when the next one follows.
    fn note_try(&self, sale: &Sale, merged: Result<Merged, BackendError>) -> Duration {
        match merged {
            Ok(Merged::NotYet) => return CHECK_AGAIN_AFTER,
            Err(error) if error != BackendError::Unseeded => {
                tracing::debug!(sale = %sale.id, %error, "sale not merged");
                return RETRY_AFTER;
            }
            Ok(Merged::Purchases(purchases)) => {
                tracing::warn!(sale = %sale.id, purchases, "sale merged with Postgres");
            }
            // A sale that Redis lost is restored, with all that was sold.
            Ok(Merged::Whole) | Err(_) => {}
        }
        self.may_miss_claims.send_replace(false);
        CHECK_EVERY
    }
}
