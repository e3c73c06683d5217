//! What the backends hold after a run, as values.

use std::collections::{BTreeMap, BTreeSet};

use flashsale_load::checker::stored_rows::StoredRows;
use flashsale_load::client::catalogue::ItemNo;

use super::Commit;

/// What the backends hold after a run.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Sales, orders, purchases and attempts in Postgres.
    pub stored: StoredRows,
    /// When each sold item was claimed, by the row in Postgres, in microseconds since the opening.
    pub claimed_us: BTreeMap<ItemNo, i64>,
    /// When each order was claimed and committed.
    pub commits: Vec<Commit>,
    /// What Redis holds of the sale after its close; `None`: it was not read.
    pub redis: Option<RedisSale>,
    /// Whether the operator settled the sale.
    pub is_settled: bool,
}

/// What Redis holds of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisSale {
    /// The items that are sold in its bitmap.
    pub sold: BTreeSet<ItemNo>,
    /// How many codes have an outcome.
    pub outcomes: usize,
}
