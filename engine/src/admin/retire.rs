//! Retires a settled sale, withdraws one that has not begun, and deletes what is kept of a
//! FlashSale.

use crate::admin::{Admin, AdminError};
use crate::domain::lifecycle::Milestone;
use crate::domain::sale::{DEFAULT_PARTITIONS, FlashSaleName, Sale, SaleId};
use crate::postgres::operations::Postgres;
use crate::recovery::settle_abandoned::ATTEMPT_GRACE;
use crate::redis::commands::Redis;
use crate::redis::sale_state;

impl<R: Redis, P: Postgres> Admin<R, P> {
    /// Deletes a sale's keys in Redis; what it sold stays in Postgres.
    pub async fn retire(&self, id: &SaleId) -> Result<(), AdminError> {
        let record = self.record(id).await?;
        self.delete_keys(&record.sale).await?;
        Ok(self.postgres.note_milestone(id, Milestone::Retired).await?)
    }

    /// Withdraws a sale that was seeded and has not begun: it will not open. Returns whether it
    /// did; a sale that has begun goes on.
    pub async fn withdraw(&self, id: &SaleId) -> Result<bool, AdminError> {
        let Some(record) = self.postgres.read_sale(id).await? else {
            let (redis, partitions) = (&self.redis, DEFAULT_PARTITIONS);
            sale_state::delete_sale(redis, id, partitions, self.format).await?;
            return Ok(true);
        };
        // In this order a crash at any point leaves a sale that does not open and that the next
        // call withdraws to the end: first no process restores it, then Redis loses it.
        if !self.postgres.unseed_sale(id).await? {
            return Ok(false);
        }
        self.delete_keys(&record.sale).await?;
        self.postgres.delete_unseeded_sale(id).await?;
        Ok(true)
    }

    /// Deletes what Redis holds of a FlashSale beside its sales: refused attempts, once what dead
    /// processes left of them is in Postgres. A process that lives has its own in memory.
    pub async fn delete_refused_attempts(
        &self,
        flash_sale: &FlashSaleName,
    ) -> Result<(), AdminError> {
        self.settler
            .settle_refusals(flash_sale, ATTEMPT_GRACE)
            .await?;
        Ok(sale_state::delete_refusals(&self.redis, flash_sale).await?)
    }

    /// Deletes what Postgres keeps of a FlashSale and of what it sold. Only for one whose sales are
    /// all retired: Redis must not hold what Postgres does not have.
    pub async fn delete_rows(&self, flash_sale: &FlashSaleName) -> Result<(), AdminError> {
        Ok(self.postgres.delete_flash_sale(flash_sale).await?)
    }

    async fn delete_keys(&self, sale: &Sale) -> Result<(), AdminError> {
        let (redis, format) = (&self.redis, self.format.of(sale)?);
        Ok(sale_state::delete_sale(redis, &sale.id, sale.partitions, format).await?)
    }
}
