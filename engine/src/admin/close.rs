//! Closes and settles a sale.

use std::time::Duration;

use crate::admin::{Admin, AdminError};
use crate::domain::lifecycle::Milestone;
use crate::domain::sale::SaleId;
use crate::postgres::operations::Postgres;
use crate::recovery::audit::audit;
use crate::recovery::restore::close;
use crate::redis::commands::Redis;
use crate::redis::scripts::close::CloseWhen;

/// What closing a sale did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It sells nothing any more.
    Closed {
        /// Items sold, as committed so far.
        sold: u32,
    },
    /// By the clock of Redis its window is still open: try again then.
    NotYet {
        /// For how long.
        open_for: Duration,
    },
}

/// How far the settling of a closed sale is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// Redis and Postgres agree item by item, and nothing waits. False: call again.
    pub settled: bool,
    /// Items sold, as committed.
    pub sold: u32,
}

impl<R: Redis, P: Postgres> Admin<R, P> {
    /// Closes a sale whose window has ended.
    pub async fn close(&self, id: &SaleId) -> Result<Closed, AdminError> {
        self.close_when(id, CloseWhen::Ended).await
    }

    /// Closes a sale before its window has ended.
    pub async fn end_early(&self, id: &SaleId) -> Result<Closed, AdminError> {
        self.close_when(id, CloseWhen::Now).await
    }

    async fn close_when(&self, id: &SaleId, when: CloseWhen) -> Result<Closed, AdminError> {
        let record = self.record(id).await?;
        let format = self.format.of(&record.sale)?;
        if let Some(open_for) = close(&self.redis, &record.sale, format, when).await? {
            return Ok(Closed::NotYet { open_for });
        }
        self.postgres.note_milestone(id, Milestone::Closed).await?;
        // A sale that was lost and that another process restored meanwhile is open again. A restoration
        // that ends later reads the milestone.
        close(&self.redis, &record.sale, format, when).await?;
        let sold = self.record(id).await?.sold;
        Ok(Closed::Closed { sold })
    }

    /// Commits what is left of a closed sale and audits it.
    pub async fn settle(&self, id: &SaleId) -> Result<Settlement, AdminError> {
        let record = self.record(id).await?;
        // Where Redis lost the sale after its close, its streams say nothing until it is restored.
        self.restore_if_lost(&record).await?;
        let taken = self.settle_left_over(&record).await?;
        let waits = taken > 0 || self.settler.is_anything_unsettled(&record.sale).await?;
        let agreed = match waits {
            true => None,
            false => audit(&*self.postgres, &self.restorer, &record).await?,
        };
        let settled = match agreed {
            // False where a claim was committed since the audit.
            Some(sold) => self.postgres.settle_sale(id, sold).await?,
            None => false,
        };
        Ok(Settlement {
            settled,
            sold: self.record(id).await?.sold,
        })
    }
}
