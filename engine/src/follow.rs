//! Following the registry of a FlashSale's sales: what a process loads, serves and lets go.
//!
//! Promises: a sale that is registered is loaded before it opens, whoever registered it; one that
//! the registry lost is found in Postgres and brought back; one that was withdrawn or retired is
//! let go. The operator may be down all the while (invariant 9).

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::error::StoreError;
use crate::keys;
use crate::open_sale::{OpenSale, rebuild};
use crate::sale::{Sale, SaleId};
use crate::sales;
use crate::shop::Shop;

/// How often the registry is read.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// How often Postgres is asked for sales that the registry lost.
const COMPARE_EVERY: Duration = Duration::from_secs(5);

/// How long after its end a sale is kept in memory, for those who ask what they got.
const KEEP_AFTER_END: SignedDuration = SignedDuration::from_mins(10);

/// Sales of a FlashSale that are looked at in Postgres.
const RECENT_SALES: u32 = 10;

/// The log target of what a shop keeper would want to know.
const BUSINESS: &str = "flashsale::business";

impl Shop {
    async fn registered(&self) -> Result<Vec<Sale>, StoreError> {
        let mut cmd = redis::cmd("HVALS");
        cmd.arg(keys::registry(&self.flash_sale));
        let texts: Vec<String> = self.means.redis.run("registry", &cmd).await?;
        let parse = |text: &String| {
            let sale = serde_json::from_str(text);
            // One entry of a later version must not hide the sales beside it.
            sale.inspect_err(|error| tracing::error!(entry = text, %error, "registry: no sale"))
                .ok()
        };
        Ok(texts.iter().filter_map(parse).collect())
    }

    /// Sales that Postgres says are to be sold: the truth, when the registry lost them.
    async fn unfinished(&self) -> Result<Vec<Sale>, StoreError> {
        let now = Timestamp::now();
        let records = sales::of_flash_sale(&self.means.db, &self.flash_sale, RECENT_SALES).await?;
        let unfinished = records
            .into_iter()
            .filter(|r| r.seeded_at.is_some() && r.closed_at.is_none())
            .filter(|r| now < r.sale.window.ends_at);
        Ok(unfinished.map(|record| record.sale).collect())
    }

    async fn open_all(&self, wanted: Vec<Sale>) {
        let mut missing = Vec::new();
        for sale in wanted {
            let over = sale.window.ends_at.saturating_add(KEEP_AFTER_END);
            if self.known(&sale.id).is_some() || over.is_ok_and(|over| over < Timestamp::now()) {
                continue;
            }
            let id = sale.id.clone();
            match OpenSale::start(sale.clone(), &self.means, CancellationToken::new()).await {
                Ok(open) => {
                    tracing::info!(sale = %id, starts_at = %open.sale.window.starts_at,
                        items = open.sale.items, "sale loaded");
                    let mut sales = self.sales.load().to_vec();
                    sales.push(open);
                    self.sales.store(Arc::new(sales));
                }
                Err(error) => {
                    tracing::warn!(sale = %id, error = %error, "sale not loaded yet");
                    missing.push(sale);
                }
            }
        }
        self.missing.store(Arc::new(missing));
    }

    /// Stops serving sales that are long over, that were retired, or that were withdrawn before
    /// they began. Whoever asks for them is answered from Postgres.
    fn drop_gone(&self, registered: &HashSet<SaleId>, unfinished: Option<&[Sale]>) {
        let now = Timestamp::now();
        let gone = |open: &Arc<OpenSale>| {
            let (id, window) = (&open.sale.id, open.sale.window);
            let over = window.ends_at.saturating_add(KEEP_AFTER_END);
            let retired = window.ends_at <= now && !registered.contains(id);
            let withdrawn = now < window.starts_at
                && !registered.contains(id)
                && unfinished.is_some_and(|sales| sales.iter().all(|sale| sale.id != *id));
            retired || withdrawn || over.is_ok_and(|over| over < now)
        };
        let (gone, kept): (Vec<_>, Vec<_>) = self.sales.load().iter().cloned().partition(gone);
        if gone.is_empty() {
            return;
        }
        for open in gone {
            tracing::info!(sale = %open.sale.id, "sale no longer served from memory");
            open.stop.cancel();
        }
        self.sales.store(Arc::new(kept));
    }

    /// One look at the registry, and now and then at Postgres, which has what it lost.
    async fn follow_once(&self, compare: bool) -> Result<(), StoreError> {
        let mut wanted = self.registered().await?;
        let registered: HashSet<SaleId> = wanted.iter().map(|sale| sale.id.clone()).collect();
        let unfinished = match compare {
            // The registry alone serves while Postgres is away.
            true => self.unfinished().await.ok(),
            false => None,
        };
        for sale in unfinished.iter().flatten() {
            if !registered.contains(&sale.id) {
                rebuild(&self.means, sale).await;
                wanted.push(sale.clone());
            }
        }
        if unfinished.is_none() {
            // What only Postgres knew of is not gone because it was not asked.
            let missing = self.missing.load();
            let unlisted = missing.iter().filter(|sale| !registered.contains(&sale.id));
            wanted.extend(unlisted.cloned());
        }
        self.open_all(wanted).await;
        self.drop_gone(&registered, unfinished.as_deref());
        if unfinished.is_some() || !registered.is_empty() {
            self.followed.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

pub(crate) async fn follow(shop: Arc<Shop>) {
    let mut compared: Option<Instant> = None;
    let mut selling: Option<Arc<OpenSale>> = None;
    loop {
        let compare = compared.is_none_or(|at| at.elapsed() >= COMPARE_EVERY);
        if compare {
            compared = Some(Instant::now());
        }
        if let Err(error) = shop.follow_once(compare).await {
            tracing::warn!(error = %error, "registry not read");
        }
        let active = shop.active();
        announce(selling.as_deref(), active.as_deref());
        selling = active;
        tokio::select! {
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
            () = shop.following.cancelled() => return,
        }
    }
}

/// Logs what this process sees of the sales' windows.
fn announce(before: Option<&OpenSale>, now: Option<&OpenSale>) {
    if before.map(|open| &open.sale.id) == now.map(|open| &open.sale.id) {
        return;
    }
    if let Some(open) = before {
        let (sale, sold) = (&open.sale.id, open.view.sold_count());
        tracing::info!(target: BUSINESS, event = "sale_closed", %sale, sold, "sale closed");
    }
    if let Some(open) = now {
        let (sale, items) = (&open.sale.id, open.sale.items);
        tracing::info!(target: BUSINESS, event = "sale_opened", %sale, items, "sale opened");
    }
}
