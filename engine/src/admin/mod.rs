//! Administration: what an operator does to a sale.
//!
//! Guarantees: every operation can be done again at any time, by a second operator too.

mod close;
mod retire;
mod seed;

use std::sync::Arc;

use crate::domain::backend_urls::BackendUrls;
use crate::domain::clock::Clock;
use crate::domain::error::BackendError;
use crate::domain::lifecycle::{SaleRecord, SaleStage};
use crate::domain::sale::{FlashSaleName, SaleId};
use crate::observability::Ambient;
use crate::postgres::operations::Postgres;
use crate::postgres::pool::PostgresPool;
use crate::recovery::restore::{Restored, Restorer, close};
use crate::recovery::settle_abandoned::{ATTEMPT_GRACE, CLAIM_GRACE, Settler};
use crate::redis::cluster::RedisCluster;
use crate::redis::codec::Format;
use crate::redis::commands::Redis;
use crate::redis::eviction_policy::{Eviction, read_eviction};
use crate::redis::sale_state;
use crate::redis::scripts::close::CloseWhen;

pub use close::{Closed, Settlement};
pub use seed::SeedReport;

/// As many sales of a FlashSale as [`Admin::observe`] reads, beside those that are not retired.
pub const OBSERVED_SALES: u32 = 100;

/// What went wrong in an operation on a sale.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// A backend failed; try again later.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// There is no such sale in Postgres.
    #[error("sale {0}: expected one that was seeded, found none in Postgres")]
    UnknownSale(SaleId),
    /// Metrics could not be set up.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// What [`Admin::keep_up`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeptUp {
    /// Redis had lost the sale, or a part of it, and has it again.
    pub restored: bool,
    /// Entries of dead processes that were settled.
    pub settled_entries: usize,
}

/// What became of a sale that Redis may have lost.
enum Restoration {
    /// Redis holds it.
    Whole,
    /// Redis holds it again.
    Done,
    /// Another process restores it.
    Elsewhere,
}

/// The backends, for operations on sales.
#[derive(Debug)]
pub struct Admin<R, P> {
    pub(crate) postgres: Arc<P>,
    pub(crate) redis: R,
    pub(crate) settler: Settler<R, P>,
    pub(crate) restorer: Restorer<R>,
    pub(crate) clock: Clock,
    pub(crate) format: Format,
}

/// Connections of an [`Admin`] to Postgres at the most.
const CONNECTIONS: u32 = 4;

impl Admin<RedisCluster, PostgresPool> {
    /// Connects to both backends, within a bounded time.
    pub async fn connect(urls: &BackendUrls, ambient: &Ambient) -> Result<Self, AdminError> {
        let (metrics, clock) = (ambient.metrics.clone(), ambient.clock.clone());
        let certificates = &urls.postgres_certificates;
        let connected =
            PostgresPool::connect(&urls.postgres, certificates, CONNECTIONS, metrics, clock);
        let postgres = connected.await?;
        let (metrics, clock) = (ambient.metrics.clone(), ambient.clock.clone());
        let certificates = &urls.redis_certificates;
        let redis = RedisCluster::connect(&urls.redis, certificates, metrics, clock).await?;
        Ok(Self::new(redis, postgres, ambient))
    }
}

impl<R: Redis, P: Postgres> Admin<R, P> {
    /// Operations on these backends.
    pub fn new(redis: R, postgres: P, ambient: &Ambient) -> Self {
        Self::with_format(redis, postgres, ambient, Format::CURRENT)
    }

    /// The same with another newest format.
    pub(crate) fn with_format(redis: R, postgres: P, ambient: &Ambient, format: Format) -> Self {
        let postgres = Arc::new(postgres);
        let time_and_randomness = (&ambient.clock, &ambient.random);
        let metrics = ambient.metrics.clone();
        Self {
            settler: Settler::new(
                postgres.clone(),
                redis.clone(),
                metrics,
                time_and_randomness,
                format,
            ),
            restorer: Restorer {
                redis: redis.clone(),
                random: ambient.random.clone(),
                newest_format: format,
            },
            clock: ambient.clock.clone(),
            postgres,
            redis,
            format,
        }
    }

    /// The newest [`OBSERVED_SALES`] sales of a FlashSale, and all that are not retired; newest
    /// first.
    pub async fn observe(&self, flash_sale: &FlashSaleName) -> Result<Vec<SaleRecord>, AdminError> {
        Ok(self.postgres.read_sales(flash_sale, OBSERVED_SALES).await?)
    }

    /// Restores what Redis lost, and settles what dead processes left. Cheap when all is well.
    pub async fn keep_up(&self, id: &SaleId) -> Result<KeptUp, AdminError> {
        let record = self.record(id).await?;
        let restored = match self.restore_if_lost(&record).await? {
            Restoration::Whole => false,
            Restoration::Done => true,
            // The streams say nothing yet.
            Restoration::Elsewhere => return Ok(KeptUp::default()),
        };
        let settled_entries = self.settle_left_over(&record).await?;
        Ok(KeptUp {
            restored,
            settled_entries,
        })
    }

    /// Whether Redis may evict keys of a sale.
    pub async fn eviction(&self) -> Result<Eviction, AdminError> {
        Ok(read_eviction(&self.redis).await?)
    }

    /// Creates the partitions of a FlashSale's attempts for the coming days, and drops those older
    /// than `keep_days`.
    pub async fn attempts_housekeeping(
        &self,
        flash_sale: &FlashSaleName,
        keep_days: u32,
    ) -> Result<(), AdminError> {
        let postgres = &self.postgres;
        postgres.create_attempt_days(flash_sale, None, 3).await?;
        Ok(postgres.drop_attempt_days(flash_sale, keep_days).await?)
    }

    async fn record(&self, id: &SaleId) -> Result<SaleRecord, AdminError> {
        let record = self.postgres.read_sale(id).await?;
        record.ok_or_else(|| AdminError::UnknownSale(id.clone()))
    }

    /// Restores a sale that Redis does not hold as a whole. One that is open API processes restore,
    /// too, and one of all does.
    async fn restore_if_lost(&self, record: &SaleRecord) -> Result<Restoration, BackendError> {
        let format = self.format.of(&record.sale)?;
        if sale_state::is_whole(&self.redis, &record.sale, format).await? {
            if matches!(record.stage(), SaleStage::Closed | SaleStage::Settled) {
                // A server that started again from an old file has the sale as open.
                close(&self.redis, &record.sale, format, CloseWhen::Now).await?;
            }
            return Ok(Restoration::Whole);
        }
        let (postgres, restorer, sale) = (&*self.postgres, &self.restorer, &record.sale);
        let restored = match record.stage() {
            SaleStage::ForSale => restorer.restore_under_lease(postgres, sale).await?,
            stage => restorer.restore_lost(postgres, sale, stage).await?,
        };
        match restored {
            Restored::Nothing => return Ok(Restoration::Elsewhere),
            Restored::Partitions => {}
            Restored::Sale => restorer.restore_outcomes(postgres, sale).await?,
        }
        Ok(Restoration::Done)
    }

    /// Settles what dead processes left. Returns how many entries it took.
    async fn settle_left_over(&self, record: &SaleRecord) -> Result<usize, BackendError> {
        let claims = self
            .settler
            .settle_claims(&record.sale, CLAIM_GRACE)
            .await?;
        let attempts = self
            .settler
            .settle_attempts(&record.sale, ATTEMPT_GRACE)
            .await?;
        Ok(claims + attempts)
    }
}
