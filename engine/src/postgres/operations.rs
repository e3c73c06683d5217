//! The seam to Postgres: one method for each operation, and nothing of how it is carried out.
//!
//! The adapter to a real database is [`crate::postgres::pool::PostgresPool`]; a fake or a simulator
//! implements [`Postgres`] as well.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;

use jiff::Timestamp;

use crate::domain::attempt::Attempt;
use crate::domain::cart::LoggedCart;
use crate::domain::catalog::{Catalog, Item};
use crate::domain::code::{CheckoutCode, CodeSuffix};
use crate::domain::error::BackendError;
use crate::domain::ids::ItemId;
pub use crate::domain::lifecycle::SaleStage;
use crate::domain::lifecycle::{Milestone, SaleRecord};
use crate::domain::outcome::{Claim, ItemResultKind, Outcome, Purchase};
use crate::domain::sale::{FlashSaleName, Sale, SaleId};
use crate::domain::watermark::Watermarks;

/// Rows of one page of an operation that reads pages. A page that is not full is the last.
pub const PAGE: usize = 10_000;

/// Which items a page of a catalogue shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// All of them.
    All,
    /// Those for sale.
    Available,
    /// Those that are sold.
    Sold,
}

/// What Redis must hold after the outcome of a code was corrected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrectionFacts {
    /// The user's slots in Postgres, one `0` or `1` each, from slot 1.
    pub user_slots: String,
    /// The highest sale slot in Postgres; 0 for none.
    pub highest_sale_slot: u32,
    /// Which of the items that were asked about are sold.
    pub sold: Vec<u32>,
    /// Which of the sale slots that were asked about no purchase has.
    pub free_sale_slots: Vec<u32>,
}

/// Orders that were looked for by their codes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundOutcomes {
    /// The outcomes of the codes that have an order on the server that was asked.
    pub outcomes: HashMap<CheckoutCode, Outcome>,
    /// Whether the server takes no writes: another one that does may have more orders.
    pub may_be_behind: bool,
}

impl FoundOutcomes {
    /// The outcome of a code; none where it certainly has no order.
    pub fn of(&self, code: &CheckoutCode) -> Answer<Option<Outcome>> {
        match self.outcomes.get(code) {
            None if self.may_be_behind => Err(BackendError::read_only("read_order")),
            outcome => Ok(outcome.cloned()),
        }
    }

    /// The outcomes, where each of these codes that is not among them certainly has no order.
    pub fn complete(self, codes: &[CheckoutCode]) -> Answer<HashMap<CheckoutCode, Outcome>> {
        let is_complete = codes.iter().all(|code| self.outcomes.contains_key(code));
        match self.may_be_behind && !is_complete {
            true => Err(BackendError::read_only("read_order")),
            false => Ok(self.outcomes),
        }
    }
}

/// The result of an operation on Postgres.
pub type Answer<T> = Result<T, BackendError>;

/// Operations on the database that keeps the truth.
///
/// An implementation waits a bounded time for each answer and returns errors and time-outs as
/// values; an error of the server is a [`BackendError::Postgres`] with its SQLSTATE. An operation
/// that failed has changed nothing, unless it timed out: then it may have been carried out. Every
/// operation can be called again.
pub trait Postgres: Debug + Send + Sync + 'static {
    /// Asks for nothing, to see whether the database answers.
    fn ping(&self) -> impl Future<Output = Answer<()>> + Send;

    /// The newest `newest` sales of a FlashSale, and all that are not retired; newest first.
    fn read_sales(
        &self,
        flash_sale: &FlashSaleName,
        newest: u32,
    ) -> impl Future<Output = Answer<Vec<SaleRecord>>> + Send;

    /// One sale, if there is one of this id.
    fn read_sale(&self, id: &SaleId) -> impl Future<Output = Answer<Option<SaleRecord>>> + Send;

    /// Writes a sale and its catalogue, whole or not at all; a sale that is there stays as it is.
    /// Returns whether this call wrote it.
    fn insert_sale(
        &self,
        sale: &Sale,
        catalog: &Catalog,
    ) -> impl Future<Output = Answer<bool>> + Send;

    /// Notes a milestone of a sale at the present time of the server; the first note stays.
    fn note_milestone(
        &self,
        id: &SaleId,
        milestone: Milestone,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Settles a sale that has sold exactly `sold` items: fixes that count, and from then on
    /// [`Postgres::insert_orders`] and [`Postgres::insert_order_by_item`] refuse its orders. Waits
    /// for orders of it that are being inserted. Returns whether the sale is settled.
    fn settle_sale(&self, id: &SaleId, sold: u32) -> impl Future<Output = Answer<bool>> + Send;

    /// How far sales have come, of those that there are: cheaper than [`Postgres::read_sale`], which
    /// counts what is sold.
    fn read_stages(
        &self,
        ids: &[SaleId],
    ) -> impl Future<Output = Answer<HashMap<SaleId, SaleStage>>> + Send;

    /// How far one sale has come, if there is one of this id.
    fn read_stage(&self, id: &SaleId) -> impl Future<Output = Answer<Option<SaleStage>>> + Send {
        async { Ok(self.read_stages(std::slice::from_ref(id)).await?.remove(id)) }
    }

    /// Takes [`Milestone::Seeded`] from a sale that has not begun by the server's clock: processes
    /// leave it alone. Returns whether the sale was there and had not begun.
    fn unseed_sale(&self, id: &SaleId) -> impl Future<Output = Answer<bool>> + Send;

    /// Deletes a sale that is not seeded, with its catalogue.
    fn delete_unseeded_sale(&self, id: &SaleId) -> impl Future<Output = Answer<()>> + Send;

    /// Deletes everything that is kept of a FlashSale and of what it sold.
    fn delete_flash_sale(
        &self,
        flash_sale: &FlashSaleName,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// A page ([`PAGE`]) of a catalogue from index `from` on, in order.
    fn read_items(
        &self,
        sale: &SaleId,
        from: u32,
    ) -> impl Future<Output = Answer<Vec<Item>>> + Send;

    /// At most `limit` items from index `from` on, in order, each with whether it is sold.
    fn browse_items(
        &self,
        sale: &SaleId,
        from: u32,
        shown: Shown,
        limit: usize,
    ) -> impl Future<Output = Answer<Vec<(Item, bool)>>> + Send;

    /// The items of these indexes, in any order.
    fn read_items_by_index(
        &self,
        sale: &SaleId,
        indexes: &[u32],
    ) -> impl Future<Output = Answer<Vec<Item>>> + Send;

    /// Whether any sale has an item of this id.
    fn has_item(&self, item: &ItemId) -> impl Future<Output = Answer<bool>> + Send;

    /// Inserts the orders and purchases of claims with codes that differ, all or none. A code, an
    /// item, a user's slot or a sale's slot that is taken, and a slot beyond a limit, is an error
    /// for which [`BackendError::is_conflict`] holds; a sale that is settled is one for which
    /// [`BackendError::is_sale_settled`] holds.
    fn insert_orders(&self, claims: &[&Claim]) -> impl Future<Output = Answer<()>> + Send;

    /// Inserts the order of one claim in one transaction, item by item: an item that the claim got
    /// and that is taken becomes `already_sold`, the server chooses the lowest free slots, and an
    /// item without a free slot becomes `limit_reached`. Returns the outcome that it committed.
    fn insert_order_by_item(&self, claim: &Claim) -> impl Future<Output = Answer<Outcome>> + Send;

    /// The outcomes of these codes.
    fn read_outcomes(
        &self,
        codes: &[CheckoutCode],
    ) -> impl Future<Output = Answer<FoundOutcomes>> + Send;

    /// What became of the items of these codes, in the order of each cart, without slots: cheaper
    /// than [`Postgres::read_outcomes`]. A code without an order is not in the answer.
    fn read_result_kinds(
        &self,
        codes: &[CheckoutCode],
    ) -> impl Future<Output = Answer<HashMap<CheckoutCode, Vec<(u32, ItemResultKind)>>>> + Send;

    /// A page ([`PAGE`]) of the outcomes of a sale, behind the code `after`, in the order of codes.
    fn read_sale_outcomes(
        &self,
        sale: &SaleId,
        after: Option<&CodeSuffix>,
    ) -> impl Future<Output = Answer<Vec<(CodeSuffix, Outcome)>>> + Send;

    /// A page ([`PAGE`]) of what a sale sold, from item index `from` on, in the order of items.
    fn read_purchases(
        &self,
        sale: &SaleId,
        from: u32,
    ) -> impl Future<Output = Answer<Vec<Purchase>>> + Send;

    /// A page ([`PAGE`]) of the item indexes that a sale sold, from `from` on, in order.
    fn read_sold_items(
        &self,
        sale: &SaleId,
        from: u32,
    ) -> impl Future<Output = Answer<Vec<u32>>> + Send;

    /// The purchases of those of these items of a sale that were sold, in the order of items.
    fn read_purchases_of_items(
        &self,
        sale: &SaleId,
        items: &[u32],
    ) -> impl Future<Output = Answer<Vec<Purchase>>> + Send;

    /// What Redis must hold of a user, of these items and of these sale slots.
    fn read_correction_facts(
        &self,
        sale: &SaleId,
        user: &str,
        items: &[u32],
        sale_slots: &[u32],
    ) -> impl Future<Output = Answer<CorrectionFacts>> + Send;

    /// Appends attempts of a FlashSale to the log; an attempt that is there stays as it is.
    fn append_attempts(
        &self,
        flash_sale: &FlashSaleName,
        attempts: &[&Attempt],
    ) -> impl Future<Output = Answer<()>> + Send;

    /// The carts of a sale in one cart partition that have no order, from the log of attempts. The
    /// latest cart of a user is the latest of all, bought or not.
    fn read_carts(
        &self,
        sale: &Sale,
        partition: u16,
    ) -> impl Future<Output = Answer<Vec<LoggedCart>>> + Send;

    /// Creates the partitions of the log of attempts of a FlashSale for the UTC days that `days` days
    /// from `first` on cover; none for `first` is the server's present day.
    fn create_attempt_days(
        &self,
        flash_sale: &FlashSaleName,
        first: Option<Timestamp>,
        days: u32,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Drops the partitions of the log of attempts of a FlashSale that are older than `keep_days`
    /// days.
    fn drop_attempt_days(
        &self,
        flash_sale: &FlashSaleName,
        keep_days: u32,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Publishes that a process has everything in Postgres that it answered before this time, Unix
    /// time in microseconds by the server's clock. Returns the server's present time.
    fn publish_watermark(
        &self,
        flash_sale: &FlashSaleName,
        process: u64,
        settled_through_us: i64,
    ) -> impl Future<Output = Answer<i64>> + Send;

    /// Deletes the watermark of a process that has settled everything and answers nothing more.
    fn delete_watermark(&self, process: u64) -> impl Future<Output = Answer<()>> + Send;

    /// Deletes the watermarks of processes of a FlashSale that have published nothing for longer
    /// than `silent_us` microseconds.
    fn delete_silent_watermarks(
        &self,
        flash_sale: &FlashSaleName,
        silent_us: i64,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// What the processes of a FlashSale have published.
    fn read_watermarks(
        &self,
        flash_sale: &FlashSaleName,
    ) -> impl Future<Output = Answer<Watermarks>> + Send;

    /// How many connections are in use, and how many are idle.
    fn connections(&self) -> (i64, i64);
}
