//! An in-memory Postgres: the tables of the engine's migrations with their constraints.
//!
//! Guarantees: every key and every check of the schema holds, and a violation is an error with the
//! SQLSTATE that Postgres gives; an operation that fails changes nothing; times have the resolution
//! of a microsecond, and the server's present time is that of the clock that was passed in.
//!
//! Left out: SQL (there is no way in but the operations of the seam), isolation of concurrent
//! transactions (an operation is atomic, so that no operation sees another's half), and the limits
//! of column types (an index beyond 2^31).

mod attempts;
mod orders;
mod outcomes;
mod sales;
mod tables;
mod watermarks;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flashsale_engine::postgres::operations::{
    Answer, CorrectionFacts, FoundOutcomes, Postgres, SaleStage, Shown,
};
use flashsale_engine::{
    Attempt, BackendError, Catalog, CheckoutCode, Claim, Clock, CodeSuffix, FlashSaleName, Item,
    ItemId, ItemResultKind, LoggedCart, Milestone, Outcome, Purchase, Sale, SaleId, SaleRecord,
    Watermarks,
};
use jiff::Timestamp;
use jiff::civil::Date;

use tokio::sync::{OwnedRwLockWriteGuard, RwLock};

use sales::to_microseconds;
use tables::Tables;

/// A handle to an in-memory Postgres; clones share it.
#[derive(Debug, Clone)]
pub struct FakePostgres {
    tables: Arc<Mutex<Tables>>,
    clock: Clock,
    gate: Arc<RwLock<()>>,
    attempts_gate: Arc<RwLock<()>>,
    is_read_only: Arc<AtomicBool>,
    writes: Arc<Mutex<HashMap<&'static str, usize>>>,
    operations: Arc<AtomicU64>,
}

/// Operations wait until it is dropped.
#[derive(Debug)]
pub struct Held {
    _gate: OwnedRwLockWriteGuard<()>,
}

impl FakePostgres {
    /// An empty database with the engine's schema, whose time is that of `clock`.
    pub fn new(clock: Clock) -> Self {
        Self {
            tables: Arc::default(),
            clock,
            gate: Arc::default(),
            attempts_gate: Arc::default(),
            is_read_only: Arc::default(),
            writes: Arc::default(),
            operations: Arc::default(),
        }
    }

    /// A handle to the same tables for another process: [`FakePostgres::hold`] holds the operations
    /// of one process alone.
    pub fn of_another_process(&self) -> Self {
        Self {
            tables: self.tables.clone(),
            clock: self.clock.clone(),
            gate: Arc::default(),
            attempts_gate: Arc::default(),
            is_read_only: Arc::default(),
            writes: Arc::default(),
            operations: Arc::default(),
        }
    }

    /// Makes the operations of this handle and its clones wait, until the result is dropped.
    pub async fn hold(&self) -> Held {
        Held {
            _gate: self.gate.clone().write_owned().await,
        }
    }

    /// Makes the attempts that this handle and its clones append wait, until the result is dropped.
    pub async fn hold_attempts(&self) -> Held {
        Held {
            _gate: self.attempts_gate.clone().write_owned().await,
        }
    }

    /// Whether operations of this handle and its clones that write fail, as on a standby.
    pub fn set_read_only(&self, is_read_only: bool) {
        self.is_read_only.store(is_read_only, Ordering::Relaxed);
    }

    /// How often an operation that writes was called on this handle and its clones.
    pub fn count_writes(&self, operation: &str) -> usize {
        self.lock_writes()
            .get(operation)
            .copied()
            .unwrap_or_default()
    }

    fn lock_writes(&self) -> MutexGuard<'_, HashMap<&'static str, usize>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many operations of this handle and its clones have begun, `ping` excepted.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// All attempts of the log, in the order of their times.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.lock().attempts.values().cloned().collect()
    }

    /// The days that have a partition of a FlashSale's attempts.
    pub fn attempt_days(&self, flash_sale: &FlashSaleName) -> Vec<Date> {
        self.lock().attempt_days(flash_sale)
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        // A panic in a test leaves the tables as they were between two operations, or ends it.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts an operation: other tasks run first, as they do while a server works.
    async fn begin(&self) -> MutexGuard<'_, Tables> {
        self.operations.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        let _open = self.gate.read().await;
        self.lock()
    }

    /// Starts an operation that writes.
    async fn begin_write(&self, operation: &'static str) -> Answer<MutexGuard<'_, Tables>> {
        let tables = self.begin().await;
        *self.lock_writes().entry(operation).or_default() += 1;
        match self.is_read_only.load(Ordering::Relaxed) {
            false => Ok(tables),
            true => Err(BackendError::Postgres {
                operation,
                sqlstate: Some("25006".to_owned()),
                message: "cannot execute in a read-only transaction".to_owned(),
            }),
        }
    }

    fn now(&self) -> Timestamp {
        to_microseconds(self.clock.now())
    }
}

impl Postgres for FakePostgres {
    async fn ping(&self) -> Answer<()> {
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn read_sales(&self, flash_sale: &FlashSaleName, newest: u32) -> Answer<Vec<SaleRecord>> {
        Ok(self.begin().await.read_sales(flash_sale, newest))
    }

    async fn read_sale(&self, id: &SaleId) -> Answer<Option<SaleRecord>> {
        Ok(self.begin().await.read_sale(id))
    }

    async fn insert_sale(&self, sale: &Sale, catalog: &Catalog) -> Answer<bool> {
        let inserted = self
            .begin_write("insert_sale")
            .await?
            .insert_sale(sale, catalog);
        inserted.map_err(|violation| violation.into_backend_error("insert_sale"))
    }

    async fn note_milestone(&self, id: &SaleId, milestone: Milestone) -> Answer<()> {
        let mut tables = self.begin_write("note_milestone").await?;
        tables.note_milestone(id, milestone, self.now());
        Ok(())
    }

    async fn settle_sale(&self, id: &SaleId, sold: u32) -> Answer<bool> {
        Ok(self
            .begin_write("settle_sale")
            .await?
            .settle_sale(id, sold, self.now()))
    }

    async fn read_stages(&self, ids: &[SaleId]) -> Answer<HashMap<SaleId, SaleStage>> {
        let tables = self.begin().await;
        let stage = |id: &SaleId| Some((id.clone(), tables.read_stage(id)?));
        Ok(ids.iter().filter_map(stage).collect())
    }

    async fn unseed_sale(&self, id: &SaleId) -> Answer<bool> {
        Ok(self
            .begin_write("unseed_sale")
            .await?
            .unseed_sale(id, self.now()))
    }

    async fn delete_unseeded_sale(&self, id: &SaleId) -> Answer<()> {
        self.begin_write("delete_unseeded_sale")
            .await?
            .delete_unseeded_sale(id);
        Ok(())
    }

    async fn delete_flash_sale(&self, flash_sale: &FlashSaleName) -> Answer<()> {
        self.begin_write("delete_flash_sale")
            .await?
            .delete_flash_sale(flash_sale);
        Ok(())
    }

    async fn read_items(&self, sale: &SaleId, from: u32) -> Answer<Vec<Item>> {
        Ok(self.begin().await.read_items(sale, from))
    }

    async fn browse_items(
        &self,
        sale: &SaleId,
        from: u32,
        shown: Shown,
        limit: usize,
    ) -> Answer<Vec<(Item, bool)>> {
        Ok(self.begin().await.browse_items(sale, from, shown, limit))
    }

    async fn read_items_by_index(&self, sale: &SaleId, indexes: &[u32]) -> Answer<Vec<Item>> {
        Ok(self.begin().await.read_items_by_index(sale, indexes))
    }

    async fn has_item(&self, item: &ItemId) -> Answer<bool> {
        Ok(self.begin().await.has_item(item))
    }

    async fn insert_orders(&self, claims: &[&Claim]) -> Answer<()> {
        let inserted = self
            .begin_write("insert_orders")
            .await?
            .insert_orders(claims);
        inserted.map_err(|violation| violation.into_backend_error("insert_orders"))
    }

    async fn insert_order_by_item(&self, claim: &Claim) -> Answer<Outcome> {
        let operation = "insert_order_by_item";
        self.begin_write(operation)
            .await?
            .insert_order_by_item(claim, operation)
    }

    async fn read_outcomes(&self, codes: &[CheckoutCode]) -> Answer<FoundOutcomes> {
        Ok(FoundOutcomes {
            outcomes: self.begin().await.read_outcomes(codes),
            may_be_behind: self.is_read_only.load(Ordering::Relaxed),
        })
    }

    async fn read_result_kinds(
        &self,
        codes: &[CheckoutCode],
    ) -> Answer<HashMap<CheckoutCode, Vec<(u32, ItemResultKind)>>> {
        Ok(self.begin().await.read_result_kinds(codes))
    }

    async fn read_sale_outcomes(
        &self,
        sale: &SaleId,
        after: Option<&CodeSuffix>,
    ) -> Answer<Vec<(CodeSuffix, Outcome)>> {
        Ok(self.begin().await.read_sale_outcomes(sale, after))
    }

    async fn read_purchases(&self, sale: &SaleId, from: u32) -> Answer<Vec<Purchase>> {
        Ok(self.begin().await.read_purchases(sale, from))
    }

    async fn read_sold_items(&self, sale: &SaleId, from: u32) -> Answer<Vec<u32>> {
        Ok(self.begin().await.read_sold_items(sale, from))
    }

    async fn read_purchases_of_items(&self, sale: &SaleId, items: &[u32]) -> Answer<Vec<Purchase>> {
        Ok(self.begin().await.read_purchases_of_items(sale, items))
    }

    async fn read_correction_facts(
        &self,
        sale: &SaleId,
        user: &str,
        items: &[u32],
        sale_slots: &[u32],
    ) -> Answer<CorrectionFacts> {
        let tables = self.begin().await;
        let facts = tables.read_correction_facts(sale, user, items, sale_slots);
        facts.ok_or_else(|| BackendError::unexpected("read_correction_facts", "a row", "none"))
    }

    async fn append_attempts(
        &self,
        flash_sale: &FlashSaleName,
        attempts: &[&Attempt],
    ) -> Answer<()> {
        let _open = self.attempts_gate.read().await;
        self.begin_write("append_attempts")
            .await?
            .append_attempts(flash_sale, attempts);
        Ok(())
    }

    async fn read_carts(&self, sale: &Sale, partition: u16) -> Answer<Vec<LoggedCart>> {
        Ok(self.begin().await.read_carts(sale, partition))
    }

    async fn create_attempt_days(
        &self,
        flash_sale: &FlashSaleName,
        first: Option<Timestamp>,
        days: u32,
    ) -> Answer<()> {
        let mut tables = self.begin_write("create_attempt_days").await?;
        tables.create_attempt_days(flash_sale, first.unwrap_or_else(|| self.now()), days);
        Ok(())
    }

    async fn drop_attempt_days(&self, flash_sale: &FlashSaleName, keep_days: u32) -> Answer<()> {
        let mut tables = self.begin_write("drop_attempt_days").await?;
        tables.drop_attempt_days(flash_sale, self.now(), keep_days);
        Ok(())
    }

    async fn publish_watermark(
        &self,
        flash_sale: &FlashSaleName,
        process: u64,
        settled_through_us: i64,
    ) -> Answer<i64> {
        let mut tables = self.begin_write("publish_watermark").await?;
        let now_us = self.now().as_microsecond();
        tables.publish_watermark(flash_sale, process, settled_through_us, now_us);
        Ok(now_us)
    }

    async fn delete_watermark(&self, process: u64) -> Answer<()> {
        self.begin_write("delete_watermark")
            .await?
            .delete_watermark(process);
        Ok(())
    }

    async fn delete_silent_watermarks(
        &self,
        flash_sale: &FlashSaleName,
        silent_us: i64,
    ) -> Answer<()> {
        let mut tables = self.begin_write("delete_silent_watermarks").await?;
        let before_us = self.now().as_microsecond() - silent_us;
        tables.delete_watermarks_before(flash_sale, before_us);
        Ok(())
    }

    async fn read_watermarks(&self, flash_sale: &FlashSaleName) -> Answer<Watermarks> {
        let tables = self.begin().await;
        Ok(tables.read_watermarks(flash_sale, self.now().as_microsecond()))
    }

    fn connections(&self) -> (i64, i64) {
        (0, 0)
    }
}
