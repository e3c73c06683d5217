//! Restores a sale in Redis from Postgres: the last part of seeding, and the whole of what follows
//! a loss.
//!
//! Guarantees: only adds what Postgres has; makes the sale ready last, so that scripts refuse until
//! it is whole.

use std::time::Duration;

use crate::domain::error::BackendError;
use crate::domain::lifecycle::SaleRecord;
use crate::domain::random::Random;
use crate::domain::sale::Sale;
use crate::postgres::operations::{PAGE, Postgres};
use crate::redis::codec::Format;
use crate::redis::commands::Redis;
use crate::redis::keys::{PartitionKeys, SaleKeys};
use crate::redis::scripts::close::{CloseWhen, close as close_script};
use crate::redis::scripts::mark_ready::{mark_partition_ready, mark_sale_ready};
use crate::redis::scripts::restore_carts::restore_carts as restore_carts_script;
use crate::redis::scripts::restore_purchases::restore_purchases as restore_purchases_script;
use crate::redis::{registry, sale_state, streams};

/// Rows that one script call merges: some tens of thousands of Redis operations would hold
/// the slot for too long.
const CHUNK: usize = 500;

/// How long one process has to restore a sale before another one tries.
const LEASE: Duration = Duration::from_secs(10);

/// Restores sales that Redis lost.
#[derive(Debug, Clone)]
pub(crate) struct Restorer<R> {
    pub redis: R,
    pub random: Random,
    /// The newest format of this process.
    pub newest_format: Format,
}

impl<R: Redis> Restorer<R> {
    /// Merges everything that Postgres has of a sale into Redis and makes it ready.
    pub(crate) async fn restore(
        &self,
        postgres: &impl Postgres,
        record: &SaleRecord,
    ) -> Result<(), BackendError> {
        let sale = &record.sale;
        let keys = SaleKeys::new(&sale.id, self.newest_format.of(sale)?);
        self.restore_purchases(postgres, sale, &keys).await?;
        self.restore_outcomes(postgres, sale, &keys).await?;
        self.restore_carts(postgres, sale, keys.format).await?;
        streams::create_group(&self.redis, &keys.events).await?;
        self.mark_ready(record, &keys).await?;
        registry::add(&self.redis, sale).await
    }

    /// Restores a sale that is to be sold, unless another process is at it. Returns whether it did.
    pub(crate) async fn restore_under_lease(
        &self,
        postgres: &impl Postgres,
        sale: &Sale,
    ) -> Result<bool, BackendError> {
        if !sale_state::take_restore_lease(&self.redis, &sale.id, LEASE).await? {
            return Ok(false);
        }
        let done = self.restore_if_for_sale(postgres, sale).await;
        sale_state::release_restore_lease(&self.redis, &sale.id).await?;
        done
    }

    async fn restore_if_for_sale(
        &self,
        postgres: &impl Postgres,
        sale: &Sale,
    ) -> Result<bool, BackendError> {
        let record = postgres.read_sale(&sale.id).await?;
        // The keys of a sale that is closed or withdrawn are gone on purpose; the operator deletes
        // or restores them.
        let is_for_sale =
            |record: &SaleRecord| record.seeded_at.is_some() && record.closed_at.is_none();
        let Some(record) = record.filter(is_for_sale) else {
            return Ok(false);
        };
        self.restore(postgres, &record).await?;
        Ok(true)
    }

    async fn restore_purchases(
        &self,
        postgres: &impl Postgres,
        sale: &Sale,
        keys: &SaleKeys,
    ) -> Result<(), BackendError> {
        let mut from = 0;
        loop {
            let page = postgres.read_purchases(&sale.id, from).await?;
            for chunk in page.chunks(CHUNK) {
                restore_purchases_script(&self.redis, keys, chunk).await?;
            }
            match page.last() {
                Some(last) if page.len() == PAGE => from = last.idx + 1,
                _ => return Ok(()),
            }
        }
    }

    async fn restore_outcomes(
        &self,
        postgres: &impl Postgres,
        sale: &Sale,
        keys: &SaleKeys,
    ) -> Result<(), BackendError> {
        let mut after = None;
        loop {
            let page = postgres
                .read_sale_outcomes(&sale.id, after.as_ref())
                .await?;
            for chunk in page.chunks(CHUNK) {
                sale_state::write_outcomes(&self.redis, keys, chunk).await?;
            }
            match page.last() {
                Some((suffix, _)) if page.len() == PAGE => after = Some(*suffix),
                _ => return Ok(()),
            }
        }
    }

    /// Carts are not durable, but nobody who holds a code should have to start again: the log of
    /// attempts has what was added.
    async fn restore_carts(
        &self,
        postgres: &impl Postgres,
        sale: &Sale,
        format: Format,
    ) -> Result<(), BackendError> {
        for partition in 0..sale.partitions {
            let carts = postgres.read_carts(sale, partition).await?;
            let keys = PartitionKeys::new(&sale.id, partition, format);
            for chunk in carts.chunks(CHUNK) {
                restore_carts_script(&self.redis, &keys, chunk).await?;
            }
        }
        Ok(())
    }

    async fn mark_ready(&self, record: &SaleRecord, keys: &SaleKeys) -> Result<(), BackendError> {
        let sale = &record.sale;
        let epoch = format!("{:016x}", self.random.next_u64());
        for partition in 0..sale.partitions {
            let keys = PartitionKeys::new(&sale.id, partition, keys.format);
            streams::create_group(&self.redis, &keys.attempts).await?;
            mark_partition_ready(&self.redis, &keys, sale, &epoch).await?;
        }
        mark_sale_ready(&self.redis, keys, sale, &epoch).await?;
        if record.closed_at.is_some() {
            close(&self.redis, sale, keys.format, CloseWhen::Now).await?;
        }
        Ok(())
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
    for partition in 0..sale.partitions {
        // The sale takes no claims any more, so a cart partition may be closed whatever the clock
        // of its node says.
        let meta = PartitionKeys::new(&sale.id, partition, format).meta;
        close_script(redis, &meta, CloseWhen::Now).await?;
    }
    Ok(None)
}
