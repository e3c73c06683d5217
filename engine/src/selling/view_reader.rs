//! Reads the event stream of a sale into its view.
//!
//! Guarantees: a gap in the stream is noticed and a new snapshot taken, so that an unsold item is
//! refused as sold no longer than the reader lags (invariant 8).

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::clock::Clock;
use crate::domain::error::BackendError;
use crate::observability::metrics::Metrics;
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;
use crate::redis::sale_state;
use crate::redis::scripts::snapshot::snapshot;
use crate::redis::streams::{self, StreamEntry};
use crate::selling::sale_view::SaleView;

/// How long one read waits for events. Below the time-out of a call.
const BLOCK: Duration = Duration::from_millis(400);

/// Events that come within this time are applied together.
const COALESCE: Duration = Duration::from_millis(5);

/// Entries of one read.
const ENTRIES: usize = 1_000;

/// How often the reader compares its position with the sale's.
const CHECK_EVERY: Duration = Duration::from_secs(1);

const RETRY_AFTER: Duration = Duration::from_millis(200);

struct Position {
    epoch: String,
    seq: u64,
    last_id: String,
}

/// Why reading the stream ended.
enum Interruption {
    /// Events are missing, or the sale was restored: a new snapshot is needed.
    Gap,
    Backend(BackendError),
}

impl From<BackendError> for Interruption {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

/// Keeps a view up to date from the event stream of its sale.
#[derive(Debug)]
pub(crate) struct ViewReader<'a, R> {
    /// A handle for blocking reads.
    pub redis: R,
    /// The keys of the sale.
    pub keys: &'a SaleKeys,
    /// What is kept up to date.
    pub view: &'a SaleView,
    pub metrics: &'a Metrics,
    pub clock: &'a Clock,
}

impl<R: Redis> ViewReader<'_, R> {
    /// Reads until `stop`. Calls `lost` whenever Redis does not hold the sale.
    pub(crate) async fn run<F, Fut>(&self, stop: &CancellationToken, lost: F)
    where
        F: Fn() -> Fut,
        Fut: Future<Output = ()>,
    {
        while !stop.is_cancelled() {
            let interruption = tokio::select! {
                interruption = self.read_until_interrupted() => interruption,
                () = stop.cancelled() => return,
            };
            match interruption {
                Interruption::Gap => {
                    tracing::info!(events = self.keys.events, "sale view takes a new snapshot");
                    continue;
                }
                Interruption::Backend(BackendError::Unseeded) => lost().await,
                Interruption::Backend(error) => {
                    tracing::warn!(events = self.keys.events, %error, "sale view interrupted");
                }
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    async fn read_until_interrupted(&self) -> Interruption {
        match self.read().await {
            Ok(never) => match never {},
            Err(interruption) => interruption,
        }
    }

    async fn read(&self) -> Result<Infallible, Interruption> {
        let snapshot = snapshot(&self.redis, self.keys).await?;
        let snapshot = snapshot.ok_or(Interruption::Gap)?;
        let mut position = Position {
            epoch: snapshot.epoch.clone(),
            seq: snapshot.seq,
            last_id: snapshot.last_id.clone(),
        };
        self.view.replace(snapshot);
        let mut since_check = self.clock.start_timer();
        loop {
            let (events, after) = (&self.keys.events, &position.last_id);
            let entries = streams::read_after(&self.redis, events, after, ENTRIES, BLOCK).await?;
            let is_empty = entries.is_empty();
            for entry in entries {
                self.apply(&mut position, &entry)?;
            }
            if since_check.elapsed() >= CHECK_EVERY {
                self.check(&position).await?;
                since_check = self.clock.start_timer();
            }
            if !is_empty {
                tokio::time::sleep(COALESCE).await;
            }
        }
    }

    fn apply(&self, position: &mut Position, entry: &StreamEntry) -> Result<(), Interruption> {
        let seq: u64 = entry.get("n").unwrap_or_default();
        if seq != position.seq + 1 {
            return Err(Interruption::Gap);
        }
        let text: String = entry.get("e").unwrap_or_default();
        for event in self.keys.format.decode_events(&text)? {
            self.view.apply(seq, &event);
        }
        let lag_ms = self.clock.now_ms() - streams::entry_ms(&entry.id);
        self.metrics.view_lag.set((lag_ms as f64 / 1e3).max(0.0));
        position.seq = seq;
        position.last_id.clone_from(&entry.id);
        Ok(())
    }

    /// A stream that was created again shows no gap until its next event.
    async fn check(&self, position: &Position) -> Result<(), Interruption> {
        let (epoch, seq) = sale_state::position(&self.redis, self.keys).await?;
        if epoch != position.epoch || seq < position.seq {
            return Err(Interruption::Gap);
        }
        Ok(())
    }
}
