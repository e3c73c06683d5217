//! Seeds a sale: writes it to Postgres and to Redis before it opens.

use std::time::Duration;

use crate::admin::{Admin, AdminError};
use crate::domain::catalog::Catalog;
use crate::domain::lifecycle::Milestone;
use crate::domain::sale::Sale;
use crate::postgres::operations::Postgres;
use crate::redis::commands::Redis;
use crate::redis::{sale_state, scripts};

/// What seeding did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeedReport {
    /// Items of the catalogue.
    pub items: u32,
    /// How long it took.
    pub took: Duration,
    /// Whether everything was there before.
    pub already_seeded: bool,
}

impl<R: Redis, P: Postgres> Admin<R, P> {
    /// Writes the sale and its catalogue to Postgres, then to Redis, and registers it. The sale gets
    /// the newest format of this process, whatever `sale` says.
    pub async fn seed(&self, sale: &Sale, catalog: &Catalog) -> Result<SeedReport, AdminError> {
        let timer = self.clock.start_timer();
        let sale = Sale {
            format: self.format.version(),
            ..sale.clone()
        };
        let first_day = Some(sale.window.starts_at);
        let flash_sale = sale.id.flash_sale();
        self.postgres
            .create_attempt_days(flash_sale, first_day, 2)
            .await?;
        let is_new = self.postgres.insert_sale(&sale, catalog).await?;
        // What was seeded first is what is sold, whatever the resource says by now.
        let record = self.record(&sale.id).await?;
        let format = self.format.of(&record.sale)?;
        let is_whole = !is_new && sale_state::is_whole(&self.redis, &record.sale, format).await?;
        if !is_whole {
            scripts::load_all(&self.redis).await;
            let stage = record.stage();
            let restored = self.restorer.restore(&*self.postgres, &record.sale, stage);
            restored.await?;
        }
        self.postgres
            .note_milestone(&sale.id, Milestone::Seeded)
            .await?;
        Ok(SeedReport {
            items: record.sale.items,
            took: timer.elapsed(),
            already_seeded: is_whole,
        })
    }
}
