//! Merges what Postgres has as sold into a sale whose master may miss its last claims: a replica that was
//! promoted, a server that started again from an old file.
//!
//! Guarantees: the sale is sold meanwhile. A claim of an item that is sold conflicts in Postgres, which
//! decides and corrects Redis; the merge makes such claims rare again. It only adds what Postgres has.

use std::time::Duration;

use crate::domain::error::BackendError;
use crate::domain::sale::Sale;
use crate::postgres::operations::Postgres;
use crate::recovery::restore::Restorer;
use crate::recovery::sold_items::missing_in_redis;
use crate::redis::commands::Redis;
use crate::redis::keys::{self, SaleKeys};
use crate::redis::restore_lease::RestoreLease;
use crate::redis::scripts::RESTORED_AT_ONCE;
use crate::redis::scripts::check_whole::{check_whole, mark_whole};
use crate::redis::scripts::restore_purchases::restore_purchases;

/// How long one process has to merge before another one tries.
const LEASE: Duration = Duration::from_secs(10);

/// What a merge found or did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merged {
    /// The master has everything.
    Whole,
    /// It has got so many purchases, and has all that Postgres has.
    Purchases(usize),
    /// Another process is at it, or another master holds the sale by now.
    NotYet,
}

impl<R: Redis> Restorer<R> {
    /// Merges a sale where its master may miss claims, unless another process is at it.
    /// [`BackendError::Unseeded`] where Redis does not hold the sale at all.
    pub(crate) async fn merge_sale(
        &self,
        postgres: &impl Postgres,
        sale: &Sale,
    ) -> Result<Merged, BackendError> {
        let keys = self.keys(sale)?;
        let checked = check_whole(&self.redis, &keys.meta, keys.format).await?;
        if checked.is_whole {
            return Ok(Merged::Whole);
        }
        let lease = keys::restore_lease(&sale.id);
        let lease = RestoreLease::take(&self.redis, &self.random, &lease, LEASE).await?;
        let Some(lease) = lease else {
            return Ok(Merged::NotYet);
        };
        let merge = async {
            let purchases = self.merge_missing(postgres, sale, &keys).await?;
            self.mark_ready(sale, &keys).await?;
            let is_whole = mark_whole(&self.redis, &keys.meta, keys.format, &checked.master);
            Ok(match is_whole.await? {
                true => Merged::Purchases(purchases),
                false => Merged::NotYet,
            })
        };
        let merged = merge.await;
        lease.release(&self.redis).await?;
        merged
    }

    /// Merges the purchases whose items Redis does not have as sold; those of nearly all items it has.
    /// Returns how many. An item that was claimed once more since the loss counts as sold here: its
    /// first buyer may have one slot less in Redis than in Postgres, which keeps the limits.
    async fn merge_missing(
        &self,
        postgres: &impl Postgres,
        sale: &Sale,
        keys: &SaleKeys,
    ) -> Result<usize, BackendError> {
        let missing = missing_in_redis(postgres, &self.redis, &sale.id, keys).await?;
        for items in missing.chunks(RESTORED_AT_ONCE) {
            let purchases = postgres.read_purchases_of_items(&sale.id, items).await?;
            if !purchases.is_empty() {
                restore_purchases(&self.redis, keys, &purchases).await?;
            }
        }
        Ok(missing.len())
    }
}
