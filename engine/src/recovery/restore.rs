//! Restores a sale in Redis from Postgres: the last part of seeding, and the whole of what follows
//! a loss.
//!
//! Guarantees: only adds what Postgres has; makes the sale ready once Redis has all that was sold, so
//! that scripts refuse until then. The carts follow: until they are restored
//! ([`crate::recovery::restore_carts`]) the scripts of a cart partition refuse. The outcomes of codes
//! that were bought come last.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::future::try_join_all;

use crate::domain::error::BackendError;
use crate::domain::lifecycle::SaleStage;
use crate::domain::random::Random;
use crate::domain::sale::Sale;
use crate::postgres::operations::{PAGE, Postgres};
use crate::redis::codec::Format;
use crate::redis::commands::Redis;
use crate::redis::keys::{self, PartitionKeys, SaleKeys};
use crate::redis::restore_lease::RestoreLease;
use crate::redis::scripts::RESTORED_AT_ONCE;
use crate::redis::scripts::check_whole::check_whole;
use crate::redis::scripts::close::{CloseWhen, close as close_script};
use crate::redis::scripts::mark_ready::{Carts, mark_partition_ready, mark_sale_ready};
use crate::redis::scripts::restore_outcomes::restore_outcomes as restore_outcomes_script;
use crate::redis::scripts::restore_purchases::restore_purchases as restore_purchases_script;
use crate::redis::{registry, sale_state, streams};

/// Calls that are on their way at once: enough for Redis not to wait, few enough that the last is
/// answered in time.
const AT_ONCE: usize = 2;

/// How long a process that restores a sale may be silent before another one tries.
const LEASE: Duration = Duration::from_secs(3);

/// What was restored of a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restored {
    /// Nothing: another process is at it, or the sale is not for sale.
    Nothing,
    /// Cart partitions at the most.
    Partitions,
    /// What decides who gets an item. [`Restorer::restore_outcomes`] follows.
    Sale,
}

/// Restores sales that Redis lost.
#[derive(Debug, Clone)]
pub(crate) struct Restorer<R> {
    pub redis: R,
    pub random: Random,
    /// The newest format of this process.
    pub newest_format: Format,
}

impl<R: Redis> Restorer<R> {
    /// Merges what Postgres has of a sale into Redis, but for its carts, and makes it ready.
    pub(crate) async fn restore(
        &self,
        postgres: &impl Postgres,
        sale: &Sale,
        stage: SaleStage,
    ) -> Result<(), BackendError> {
        self.make_ready(postgres, sale, stage).await?;
        self.restore_outcomes(postgres, sale).await
    }

    /// Merges what the scripts need to decide, and makes the sale ready.
    async fn make_ready(
        &self,
        postgres: &impl Postgres,
        sale: &Sale,
        stage: SaleStage,
    ) -> Result<(), BackendError> {
        let keys = self.keys(sale)?;
        let purchases = self.restore_purchases(postgres, sale, &keys).await?;
        self.mark_ready(sale, &keys).await?;
        // What Redis holds of the sale is from now on that of the master that holds it now.
        check_whole(&self.redis, &keys.meta, keys.format).await?;
        tracing::info!(sale = %sale.id, purchases, "sale ready in Redis");
        self.restore_partitions(sale, stage, &keys).await
    }

    /// Makes the sale's slot ready, once it has what Postgres has as sold. With the new epoch every
    /// sale view takes a snapshot, which has what was merged.
    pub(super) async fn mark_ready(
        &self,
        sale: &Sale,
        keys: &SaleKeys,
    ) -> Result<(), BackendError> {
        streams::create_group(&self.redis, &keys.events).await?;
        let epoch = format!("{:016x}", self.random.next_u64());
        mark_sale_ready(&self.redis, keys, sale, &epoch).await
    }

    pub(super) fn keys(&self, sale: &Sale) -> Result<SaleKeys, BackendError> {
        Ok(SaleKeys::new(&sale.id, self.newest_format.of(sale)?))
    }

    /// Restores of a sale what Redis lost, but for outcomes: cart partitions alone where it holds the
    /// rest.
    pub(crate) async fn restore_lost(
        &self,
        postgres: &impl Postgres,
        sale: &Sale,
        stage: SaleStage,
    ) -> Result<Restored, BackendError> {
        let keys = self.keys(sale)?;
        if sale_state::is_ready(&self.redis, "restore", &keys.meta).await? {
            self.restore_partitions(sale, stage, &keys).await?;
            return Ok(Restored::Partitions);
        }
        tracing::warn!(sale = %sale.id, "Redis has lost the sale: it is restored from Postgres");
        self.make_ready(postgres, sale, stage).await?;
        Ok(Restored::Sale)
    }

    /// As [`Restorer::restore_lost`], for a sale that is to be sold, unless another process is at it.
    pub(crate) async fn restore_under_lease(
        &self,
        postgres: &impl Postgres,
        sale: &Sale,
    ) -> Result<Restored, BackendError> {
        // The keys of a sale that is closed or withdrawn are gone on purpose; the operator deletes
        // or restores them.
        if postgres.read_stage(&sale.id).await? != Some(SaleStage::ForSale) {
            return Ok(Restored::Nothing);
        }
        let lease = keys::restore_lease(&sale.id);
        let lease = RestoreLease::take(&self.redis, &self.random, &lease, LEASE).await?;
        let Some(lease) = lease else {
            return Ok(Restored::Nothing);
        };
        let restoration = async {
            let restored = self
                .restore_lost(postgres, sale, SaleStage::ForSale)
                .await?;
            self.follow_stage(postgres, sale).await?;
            Ok(restored)
        };
        let restored = tokio::select! {
            restored = restoration => restored,
            never = self.renew(&lease) => match never {},
        };
        lease.release(&self.redis).await?;
        restored
    }

    /// A sale that was ended or withdrawn during its restoration had no keys then that could be marked
    /// or deleted.
    async fn follow_stage(
        &self,
        postgres: &impl Postgres,
        sale: &Sale,
    ) -> Result<(), BackendError> {
        let format = self.newest_format.of(sale)?;
        match postgres.read_stage(&sale.id).await? {
            Some(SaleStage::ForSale) => Ok(()),
            Some(SaleStage::Closed | SaleStage::Settled) => {
                close(&self.redis, sale, format, CloseWhen::Now)
                    .await
                    .map(drop)
            }
            Some(SaleStage::Unseeded) | None => {
                sale_state::delete_sale(&self.redis, &sale.id, sale.partitions, format).await
            }
        }
    }

    /// Keeps the lease for as long as the restoration of a large sale takes.
    async fn renew(&self, lease: &RestoreLease<'_>) -> Infallible {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            match lease.renew(&self.redis).await {
                Ok(true) => {}
                // Then another process restores the same, which does no harm.
                Ok(false) => tracing::debug!(?lease, "lease lost"),
                Err(error) => tracing::debug!(?lease, %error, "lease not renewed"),
            }
        }
    }

    /// Reads a page while the one before is written. Returns how many purchases there are.
    async fn restore_purchases(
        &self,
        postgres: &impl Postgres,
        sale: &Sale,
        keys: &SaleKeys,
    ) -> Result<usize, BackendError> {
        let mut page = postgres.read_purchases(&sale.id, 0).await?;
        let mut count = 0;
        loop {
            count += page.len();
            let write = async {
                for chunks in page.chunks(RESTORED_AT_ONCE * AT_ONCE) {
                    let chunks = chunks.chunks(RESTORED_AT_ONCE);
                    let calls = chunks.map(|c| restore_purchases_script(&self.redis, keys, c));
                    try_join_all(calls).await?;
                }
                Ok(())
            };
            let Some(last) = page.last().filter(|_| page.len() == PAGE) else {
                return write.await.map(|()| count);
            };
            let read = postgres.read_purchases(&sale.id, last.idx + 1);
            let (next, ()) = tokio::try_join!(read, write)?;
            page = next;
        }
    }

    /// Restores the outcomes of codes that were bought. Nobody waits for them: a claim of a code that
    /// has an order gets the outcome of the order from Postgres, too.
    pub(crate) async fn restore_outcomes(
        &self,
        postgres: &impl Postgres,
        sale: &Sale,
    ) -> Result<(), BackendError> {
        let keys = &self.keys(sale)?;
        let mut page = postgres.read_sale_outcomes(&sale.id, None).await?;
        loop {
            let write = async {
                for chunks in page.chunks(RESTORED_AT_ONCE * AT_ONCE) {
                    let chunks = chunks.chunks(RESTORED_AT_ONCE);
                    let calls = chunks.map(|c| restore_outcomes_script(&self.redis, keys, c));
                    try_join_all(calls).await?;
                }
                Ok(())
            };
            let Some((last, _)) = page.last().filter(|_| page.len() == PAGE) else {
                return write.await;
            };
            let read = postgres.read_sale_outcomes(&sale.id, Some(last));
            let (next, ()) = tokio::try_join!(read, write)?;
            page = next;
        }
    }

    /// Makes the cart partitions ready that are not, and registers the sale. A node that is away
    /// keeps no other partition from it.
    async fn restore_partitions(
        &self,
        sale: &Sale,
        stage: SaleStage,
        keys: &SaleKeys,
    ) -> Result<(), BackendError> {
        let mut failed = None;
        for keys in PartitionKeys::of_sale(&sale.id, sale.partitions, keys.format) {
            if let Err(error) = self.restore_partition(sale, stage, &keys).await {
                failed.get_or_insert(error);
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if matches!(stage, SaleStage::Closed | SaleStage::Settled) {
            close(&self.redis, sale, keys.format, CloseWhen::Now).await?;
        }
        registry::add(&self.redis, sale).await
    }

    async fn restore_partition(
        &self,
        sale: &Sale,
        stage: SaleStage,
        keys: &PartitionKeys,
    ) -> Result<(), BackendError> {
        streams::create_group(&self.redis, &keys.attempts).await?;
        if sale_state::is_ready(&self.redis, "restore", &keys.meta).await? {
            return Ok(());
        }
        // Nobody has put anything into a cart of a sale that was never seeded.
        let carts = match stage {
            SaleStage::Unseeded => Carts::Whole,
            SaleStage::ForSale | SaleStage::Closed | SaleStage::Settled => Carts::Unchecked,
        };
        let epoch = format!("{:016x}", self.random.next_u64());
        mark_partition_ready(&self.redis, keys, sale, &epoch, carts).await?;
        // Carts that are whole are from now on those of the master that holds them now.
        check_whole(&self.redis, &keys.meta, keys.format)
            .await
            .map(drop)
    }
}

/// Closes a sale in Redis. Returns for how long its window is still open, where that kept it from
/// being closed. A sale that Redis does not hold sells nothing, and counts as closed.
pub(crate) async fn close(
    redis: &impl Redis,
    sale: &Sale,
    format: Format,
    when: CloseWhen,
) -> Result<Option<Duration>, BackendError> {
    // The slot that decides comes first: from then on nothing is claimed.
    let meta = SaleKeys::new(&sale.id, format).meta;
    if let Some(open_for) = close_script(redis, &meta, when).await? {
        return Ok(Some(open_for));
    }
    for keys in PartitionKeys::of_sale(&sale.id, sale.partitions, format) {
        // The sale takes no claims any more, so a cart partition may be closed whatever the clock
        // of its node says.
        close_script(redis, &keys.meta, CloseWhen::Now).await?;
    }
    Ok(None)
}
