//! Follows the registry of a FlashSale's sales: which sales a process loads and serves.
//!
//! Guarantees: a sale that is registered is loaded before it opens; one that the registry lost is
//! found in Postgres and restored; one that was withdrawn or retired is no longer served. The
//! operator may be down all the while (invariant 9).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::clock::Timer;
use crate::domain::error::BackendError;
use crate::domain::sale::{FlashSaleName, Sale, SaleId};
use crate::postgres::operations::Postgres;
use crate::redis::commands::Redis;
use crate::redis::registry;
use crate::selling::attempt_log::AttemptLog;
use crate::selling::context::Context;
use crate::selling::served_sale::{ServedSale, restore};
use crate::selling::served_sales::{ServedSales, is_long_over};

/// How often the registry is read.
const READ_EVERY: Duration = Duration::from_millis(500);

/// How often Postgres is read for sales that the registry lost.
const COMPARE_EVERY: Duration = Duration::from_secs(5);

/// Sales of a FlashSale that are read from Postgres.
const RECENT_SALES: u32 = 10;

/// The log target of business events.
const BUSINESS: &str = "flashsale::business";

/// Follows the registry of one FlashSale.
pub(crate) struct RegistryFollower<R, P> {
    pub flash_sale: FlashSaleName,
    pub sales: Arc<ServedSales<R>>,
    pub log: Arc<AttemptLog>,
    pub context: Arc<Context<R, P>>,
    pub stop: CancellationToken,
}

impl<R: Redis, P: Postgres> RegistryFollower<R, P> {
    /// Follows until it is stopped.
    pub(crate) async fn run(self) {
        let mut since_compare: Option<Timer> = None;
        let mut selling: Option<Arc<ServedSale<R>>> = None;
        loop {
            let is_due = |timer: &Timer| timer.elapsed() >= COMPARE_EVERY;
            let compare = since_compare.as_ref().is_none_or(is_due);
            if compare {
                since_compare = Some(self.context.clock.start_timer());
            }
            if let Err(error) = self.follow_once(compare).await {
                tracing::warn!(error = %error, "registry not read");
            }
            let active = self.sales.active(self.context.clock.now());
            announce(selling.as_deref(), active.as_deref());
            selling = active;
            tokio::select! {
                () = tokio::time::sleep(READ_EVERY) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Reads the registry once, and with `compare` Postgres too, which has what the registry lost.
    async fn follow_once(&self, compare: bool) -> Result<(), BackendError> {
        let registry = registry::read(&self.context.redis, &self.flash_sale).await;
        let unfinished = match compare {
            // The registry alone serves while Postgres is away.
            true => self.read_unfinished().await.ok(),
            false => None,
        };
        let mut desired = match (registry, unfinished.clone()) {
            (Ok(sales), _) => sales,
            (Err(error), Some(unfinished)) => {
                // Postgres alone serves while the registry's node is away: the nodes of the sale
                // may be well.
                self.load(unfinished).await;
                self.sales.set_complete();
                return Err(error);
            }
            (Err(error), None) => return Err(error),
        };
        let registered: HashSet<SaleId> = desired.iter().map(|sale| sale.id.clone()).collect();
        for sale in unfinished.iter().flatten() {
            if !registered.contains(&sale.id) {
                restore(&self.context, sale).await;
                desired.push(sale.clone());
            }
        }
        if unfinished.is_none() {
            // A sale that only Postgres has is still there when Postgres was not read.
            let missing = self.sales.missing();
            let unlisted = missing.iter().filter(|sale| !registered.contains(&sale.id));
            desired.extend(unlisted.cloned());
        }
        self.load(desired).await;
        let now = self.context.clock.now();
        self.sales
            .drop_gone(now, &registered, unfinished.as_deref());
        if unfinished.is_some() || !registered.is_empty() {
            self.sales.set_complete();
        }
        Ok(())
    }

    /// Sales that Postgres has as seeded and not closed: the truth when the registry lost them.
    async fn read_unfinished(&self) -> Result<Vec<Sale>, BackendError> {
        let now = self.context.clock.now();
        let postgres = &self.context.postgres;
        let records = postgres.read_sales(&self.flash_sale, RECENT_SALES).await?;
        let unfinished = records
            .into_iter()
            .filter(|r| r.seeded_at.is_some() && r.closed_at.is_none())
            .filter(|r| now < r.sale.window.ends_at);
        Ok(unfinished.map(|record| record.sale).collect())
    }

    async fn load(&self, desired: Vec<Sale>) {
        let now = self.context.clock.now();
        let mut missing = Vec::new();
        for sale in desired {
            if self.sales.get(&sale.id).is_some() || is_long_over(&sale, now) {
                continue;
            }
            let id = sale.id.clone();
            let stop = CancellationToken::new();
            match ServedSale::start(sale.clone(), &self.context, &self.log, stop).await {
                Ok(served) => {
                    tracing::info!(sale = %id, starts_at = %served.sale.window.starts_at,
                        items = served.sale.items, "sale loaded");
                    self.sales.push(served);
                }
                Err(error) => {
                    tracing::warn!(sale = %id, error = %error, "sale not loaded yet");
                    missing.push(sale);
                }
            }
        }
        self.sales.set_missing(missing);
    }
}

/// Logs that the active sale has changed.
fn announce<R>(before: Option<&ServedSale<R>>, now: Option<&ServedSale<R>>) {
    if before.map(|served| &served.sale.id) == now.map(|served| &served.sale.id) {
        return;
    }
    if let Some(served) = before {
        let (sale, sold) = (&served.sale.id, served.view.sold_count());
        tracing::info!(target: BUSINESS, event = "sale_closed", %sale, sold, "sale closed");
    }
    if let Some(served) = now {
        let (sale, items) = (&served.sale.id, served.sale.items);
        tracing::info!(target: BUSINESS, event = "sale_opened", %sale, items, "sale opened");
    }
}
