//! What Postgres holds about a sale and a run, as values for the checker.

use std::sync::Arc;

use crate::answer::Problem;
use crate::catalogue::ItemNo;
use crate::run_id::RequestNo;

/// The sale's row.
#[derive(Debug, Clone, Copy)]
pub struct SaleRow {
    /// Items a user may buy.
    pub per_user: u32,
    /// Items that may be sold.
    pub total_limit: u32,
    /// Attempts may be dropped.
    pub best_effort: bool,
}

/// A row of `purchases`.
#[derive(Debug, Clone)]
pub struct PurchaseRow {
    /// The item.
    pub item: ItemNo,
    /// Who bought it.
    pub user: Arc<str>,
    /// Under which code.
    pub code: Arc<str>,
}

/// A row of `orders`.
#[derive(Debug, Clone)]
pub struct OrderRow {
    /// The code.
    pub code: Arc<str>,
    /// Whose code it is.
    pub user: Arc<str>,
    /// Items in the order of the cart; `None` is sold, else why not.
    pub results: Vec<(ItemNo, Option<Problem>)>,
}

/// A row of `checkout_attempts` of this run.
#[derive(Debug, Clone)]
pub struct AttemptRow {
    /// The request it logs.
    pub request: RequestNo,
    /// `None`: stored as null.
    pub user: Option<Box<str>>,
    /// `None`: stored as null or not an item of the sale.
    pub item: Option<ItemNo>,
    /// `None`: stored as null.
    pub code: Option<Box<str>>,
    /// `added`, `in_cart`, or the code of the refusal.
    pub outcome: Box<str>,
}

/// What Postgres holds about a sale and a run.
#[derive(Debug, Clone)]
pub struct Truth {
    /// The sale.
    pub sale: SaleRow,
    /// All purchases of the sale, of other clients too.
    pub purchases: Vec<PurchaseRow>,
    /// All orders of the sale, of other clients too.
    pub orders: Vec<OrderRow>,
    /// The attempts of this run.
    pub attempts: Vec<AttemptRow>,
}
