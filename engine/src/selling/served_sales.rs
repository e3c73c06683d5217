//! The sales that this process serves, how long it keeps them in memory, and those that it should
//! serve and could not load yet.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};

use crate::domain::error::BackendError;
use crate::domain::sale::{Sale, SaleId};
use crate::selling::served_sale::ServedSale;

/// How long before its start a sale has to be loaded for the process to be ready.
const READY_BEFORE_START: SignedDuration = SignedDuration::from_secs(10);

/// How long after its end a sale stays in memory, for requests about what was bought.
const KEEP_AFTER_END: SignedDuration = SignedDuration::from_mins(10);

/// The sales of one process.
#[derive(Debug)]
pub(crate) struct ServedSales<R> {
    served: ArcSwap<Vec<Arc<ServedSale<R>>>>,
    /// Sales of the registry whose catalogue could not be loaded yet.
    missing: ArcSwap<Vec<Sale>>,
    /// Whether the registry, or Postgres in its place, has been read.
    is_complete: AtomicBool,
}

impl<R> Default for ServedSales<R> {
    fn default() -> Self {
        Self {
            served: ArcSwap::from_pointee(Vec::new()),
            missing: ArcSwap::from_pointee(Vec::new()),
            is_complete: AtomicBool::new(false),
        }
    }
}

impl<R> ServedSales<R> {
    /// All sales that are served.
    pub(crate) fn all(&self) -> Arc<Vec<Arc<ServedSale<R>>>> {
        self.served.load_full()
    }

    /// Replaces the sales that are served.
    pub(crate) fn replace(&self, served: Vec<Arc<ServedSale<R>>>) {
        self.served.store(Arc::new(served));
    }

    /// Adds a sale that was loaded.
    pub(crate) fn push(&self, sale: Arc<ServedSale<R>>) {
        let mut served = self.served.load().to_vec();
        served.push(sale);
        self.replace(served);
    }

    /// The sales that could not be loaded yet.
    pub(crate) fn missing(&self) -> Arc<Vec<Sale>> {
        self.missing.load_full()
    }

    /// Replaces the sales that could not be loaded yet.
    pub(crate) fn set_missing(&self, missing: Vec<Sale>) {
        self.missing.store(Arc::new(missing));
    }

    /// Notes that the registry, or Postgres in its place, has been read.
    pub(crate) fn set_complete(&self) {
        self.is_complete.store(true, Ordering::Relaxed);
    }

    fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Relaxed)
    }

    /// The sale that is active at this time.
    pub(crate) fn active(&self, now: Timestamp) -> Option<Arc<ServedSale<R>>> {
        let served = self.served.load();
        served
            .iter()
            .find(|served| served.sale.window.contains(now))
            .cloned()
    }

    /// The same for a caller that refuses where there is none: an error while the process cannot
    /// know.
    pub(crate) fn selling(
        &self,
        now: Timestamp,
    ) -> Result<Option<Arc<ServedSale<R>>>, BackendError> {
        let is_missing = |sale: &Sale| sale.window.contains(now);
        match self.active(now) {
            Some(served) => Ok(Some(served)),
            None if !self.is_complete() => Err(BackendError::NotLoaded),
            None if self.missing.load().iter().any(is_missing) => Err(BackendError::NotLoaded),
            None => Ok(None),
        }
    }

    /// Whether this process does not have the sale in memory, but may have it soon.
    pub(crate) fn is_to_be_loaded(&self, id: &SaleId) -> bool {
        !self.is_complete() || self.missing.load().iter().any(|sale| sale.id == *id)
    }

    /// A sale that this process has in memory.
    pub(crate) fn get(&self, id: &SaleId) -> Option<Arc<ServedSale<R>>> {
        let served = self.served.load();
        served.iter().find(|served| served.sale.id == *id).cloned()
    }

    /// The next sale to come.
    pub(crate) fn next(&self, now: Timestamp) -> Option<Arc<ServedSale<R>>> {
        let served = self.served.load();
        served
            .iter()
            .filter(|served| now < served.sale.window.starts_at)
            .min_by_key(|served| served.sale.window.starts_at)
            .cloned()
    }

    /// Why the process should get no requests; none when it should.
    pub(crate) fn not_ready(&self, now: Timestamp) -> Option<String> {
        if !self.is_complete() {
            return Some("the registry of sales has not been read yet".to_owned());
        }
        // A sale that is to come must not take a process out of one that is selling.
        let soon = match self.active(now) {
            Some(_) => now,
            None => now.saturating_add(READY_BEFORE_START).unwrap_or(now),
        };
        let is_due = |sale: &Sale| sale.window.starts_at <= soon && now < sale.window.ends_at;
        if let Some(sale) = self.missing.load().iter().find(|sale| is_due(sale)) {
            return Some(format!("the catalogue of {} is not loaded yet", sale.id));
        }
        let served = self.served.load();
        let behind =
            |served: &&Arc<ServedSale<R>>| is_due(&served.sale) && !served.view.is_caught_up();
        let behind = served.iter().find(behind)?;
        let id = &behind.sale.id;
        Some(format!("the view of {id} has not caught up yet"))
    }

    /// Stops serving sales that are long over, that were retired, or that were withdrawn before
    /// they began. Requests about them are answered from Postgres.
    pub(crate) fn drop_gone(
        &self,
        now: Timestamp,
        registered: &HashSet<SaleId>,
        unfinished: Option<&[Sale]>,
    ) {
        let is_gone = |served: &Arc<ServedSale<R>>| {
            is_long_over(&served.sale, now) || is_deleted(&served.sale, now, registered, unfinished)
        };
        let served = self.all();
        let (gone, kept): (Vec<_>, Vec<_>) = served.iter().cloned().partition(is_gone);
        if gone.is_empty() {
            return;
        }
        for served in gone {
            tracing::info!(sale = %served.sale.id, "sale no longer served from memory");
            served.stop.cancel();
        }
        self.replace(kept);
    }
}

/// Whether a sale ended so long ago that no process keeps it in memory.
pub(crate) fn is_long_over(sale: &Sale, now: Timestamp) -> bool {
    let over = sale.window.ends_at.saturating_add(KEEP_AFTER_END);
    over.is_ok_and(|over| over < now)
}

/// Whether a sale was retired, or was withdrawn before it began.
fn is_deleted(
    sale: &Sale,
    now: Timestamp,
    registered: &HashSet<SaleId>,
    unfinished: Option<&[Sale]>,
) -> bool {
    if registered.contains(&sale.id) {
        return false;
    }
    let is_retired = sale.window.ends_at <= now;
    let is_withdrawn = now < sale.window.starts_at
        && unfinished.is_some_and(|sales| sales.iter().all(|other| other.id != sale.id));
    is_retired || is_withdrawn
}
