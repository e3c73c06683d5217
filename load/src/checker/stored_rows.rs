//! What Postgres holds about the sales of a run, as values for the checker.

use std::sync::Arc;

use crate::client::answer::Problem;
use crate::client::catalogue::ItemNo;
use crate::client::run_id::RequestNo;

/// The row of a sale.
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
    pub sale: Option<Arc<str>>,
    /// `None`: stored as null.
    pub user: Option<Box<str>>,
    /// `None`: stored as null or not an item of the catalogue.
    pub item: Option<ItemNo>,
    /// `None`: stored as null.
    pub code: Option<Box<str>>,
    /// `added`, `in_cart`, or the code of the refusal.
    pub outcome: Box<str>,
}

/// What Postgres holds about one sale.
#[derive(Debug, Clone)]
pub struct StoredSale {
    /// Its id.
    pub id: String,
    /// Its limits.
    pub row: SaleRow,
    /// All its purchases, of other clients too.
    pub purchases: Vec<PurchaseRow>,
    /// All its orders, of other clients too.
    pub orders: Vec<OrderRow>,
}

/// What Postgres holds about a run.
#[derive(Debug, Clone)]
pub struct StoredRows {
    /// The sale of the run, and others that its codes name, as far as Postgres knows them.
    pub sales: Vec<StoredSale>,
    /// The attempts of the run.
    pub attempts: Vec<AttemptRow>,
}

impl StoredRows {
    /// A sale by its id.
    #[must_use]
    pub fn sale(&self, id: &str) -> Option<&StoredSale> {
        self.sales.iter().find(|sale| sale.id == id)
    }
}

/// The sale that a checkout code, `CHK-<sale id>-<random>`, names; `None` where it names none.
#[must_use]
pub fn sale_of_code(code: &str) -> Option<&str> {
    Some(code.strip_prefix("CHK-")?.rsplit_once('-')?.0)
}
