//! Settles the attempts that this process has answered.
//!
//! Guarantees: attempts stay in the log until Postgres has them; their stream entries are deleted
//! afterwards.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::attempt::Attempt;
use crate::domain::error::BackendError;
use crate::domain::sale::FlashSaleName;
use crate::postgres::operations::Postgres;
use crate::redis::commands::Redis;
use crate::redis::streams;
use crate::selling::attempt_log::{Answered, AttemptLog};
use crate::selling::context::Context;

/// Attempts that one statement settles.
pub(crate) const SETTLE_LIMIT: usize = 5_000;

/// How long answered attempts wait at most before they are settled.
const SETTLE_EVERY: Duration = Duration::from_millis(100);

/// How long after a failure the next try follows.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Starts settling in the background. After `stop` it ends when everything is settled.
pub(crate) fn spawn_settling<R: Redis, P: Postgres>(
    flash_sale: &FlashSaleName,
    log: &Arc<AttemptLog>,
    context: &Arc<Context<R, P>>,
    stop: &CancellationToken,
) {
    let settling = Settling {
        flash_sale: flash_sale.clone(),
        log: log.clone(),
        context: context.clone(),
    };
    let stop = stop.clone();
    context.tasks.spawn(async move { settling.run(stop).await });
}

/// The background task.
struct Settling<R, P> {
    flash_sale: FlashSaleName,
    log: Arc<AttemptLog>,
    context: Arc<Context<R, P>>,
}

impl<R: Redis, P: Postgres> Settling<R, P> {
    async fn run(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.log.await_batch() => {}
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
        let postgres = &self.context.postgres;
        postgres
            .append_attempts(&self.flash_sale, &attempts)
            .await?;
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
        let mut deleted = Ok(());
        for (stream, entries) in by_stream {
            let entries = entries.into_iter();
            // A node that is away keeps its entries; those of the other nodes go.
            let this = streams::delete(&self.context.redis, "log", stream, entries).await;
            deleted = deleted.and(this);
        }
        deleted
    }
}
