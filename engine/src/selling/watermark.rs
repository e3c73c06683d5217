//! Publishes up to when everything that this process answered is in Postgres.
//!
//! Guarantees: a published time is never later than the truth. It counts by the clock of Postgres,
//! which this process knows from the answer to its last publication: the server gave that time
//! before the answer came here, so that the time since then, added to it, is at most the server's
//! present time. A process that has been silent for [`DEAD_AFTER_US`], while Postgres took what this
//! one published, is dead: its watermark is deleted, so that no later restoration waits for it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::error::BackendError;
use crate::domain::sale::FlashSaleName;
use crate::domain::watermark::DEAD_AFTER_US;
use crate::postgres::operations::Postgres;
use crate::redis::commands::Redis;
use crate::selling::context::Context;

/// How often a process publishes. A cart that was lost is restored no sooner than every process has
/// published once more.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);

/// Between two publications that succeeded: beyond this Postgres was away in between.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How often the watermarks of dead processes are deleted.
const DELETE_DEAD_EVERY: Duration = Duration::from_secs(5);

/// How often a process that stops checks whether all is settled.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// The last publication that succeeded.
#[derive(Debug, Clone, Copy)]
struct Published {
    /// The server's time.
    server_us: i64,
    /// When its answer had come, on the scale of the open calls.
    received: Duration,
}

impl Published {
    /// A time on the scale of the open calls as the server's, at most.
    fn server_us_at(&self, time: Duration) -> i64 {
        let us = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        // Rounded down, as the difference of two times that are rounded down may not be.
        self.server_us + us(time) - us(self.received) - 1
    }
}

/// Publishes the watermark of this process.
#[derive(Debug)]
pub(crate) struct WatermarkPublisher<R, P> {
    flash_sale: FlashSaleName,
    process: u64,
    context: Arc<Context<R, P>>,
    last: Published,
    /// When the watermarks of dead processes were deleted, on the scale of the open calls.
    dead_deleted: Duration,
}

impl<R: Redis, P: Postgres> WatermarkPublisher<R, P> {
    /// Publishes for the first time. Before that this process must answer nothing.
    pub(crate) async fn start(
        flash_sale: &FlashSaleName,
        context: &Arc<Context<R, P>>,
    ) -> Result<Self, BackendError> {
        let mut publisher = Self {
            flash_sale: flash_sale.clone(),
            process: context.random.next_u64(),
            context: context.clone(),
            last: Published {
                server_us: 0,
                received: Duration::ZERO,
            },
            dead_deleted: Duration::ZERO,
        };
        publisher.publish(0).await?;
        Ok(publisher)
    }

    /// Publishes until `stop`, and then until everything is settled.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(PUBLISH_EVERY) => {}
                () = stop.cancelled() => break,
            }
            self.publish_present().await;
        }
        while !self.context.open_calls.is_empty() {
            tokio::time::sleep(CHECK_EVERY).await;
        }
        if let Err(error) = self.context.postgres.delete_watermark(self.process).await {
            tracing::debug!(%error, "the watermark of this process stays until it counts as dead");
        }
    }

    async fn publish_present(&mut self) {
        let settled = self.context.open_calls.ended_before();
        if let Err(error) = self.publish(self.last.server_us_at(settled)).await {
            tracing::debug!(%error, "watermark not published");
            return;
        }
        let steady_us = self
            .last
            .server_us
            .saturating_sub(self.context.steady_since.us());
        let since_deleted = self.last.received.saturating_sub(self.dead_deleted);
        if steady_us > DEAD_AFTER_US && since_deleted > DELETE_DEAD_EVERY {
            self.dead_deleted = self.last.received;
            self.delete_dead().await;
        }
    }

    /// Deletes the watermarks of processes that died. A process that was paused for as long, and goes
    /// on, publishes again.
    async fn delete_dead(&self) {
        let postgres = &self.context.postgres;
        let deleted = postgres.delete_silent_watermarks(&self.flash_sale, DEAD_AFTER_US);
        if let Err(error) = deleted.await {
            tracing::debug!(%error, "watermarks of dead processes not deleted");
        }
    }

    async fn publish(&mut self, settled_through_us: i64) -> Result<(), BackendError> {
        let Context {
            postgres,
            open_calls,
            steady_since,
            ..
        } = &*self.context;
        let publication =
            postgres.publish_watermark(&self.flash_sale, self.process, settled_through_us);
        let server_us = publication.await?;
        let received = open_calls.now();
        let pause = received.saturating_sub(self.last.received);
        if steady_since.us() == i64::MAX || pause > LONGEST_PAUSE {
            steady_since.set_us(server_us);
        }
        self.last = Published {
            server_us,
            received,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_this_process_is_never_later_than_that_of_the_server() {
        let published = Published {
            server_us: 1_000_000,
            received: Duration::from_nanos(5_000_900),
        };
        let at = |nanos| published.server_us_at(Duration::from_nanos(nanos));
        assert_eq!(at(5_000_900), 999_999);
        assert_eq!(at(7_001_000), 1_002_000);
        // A call that began before the last publication and is still open.
        assert_eq!(at(2_000_900), 996_999);
    }
}
