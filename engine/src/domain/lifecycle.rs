//! The life of a sale as Postgres keeps it.

use jiff::Timestamp;

use crate::domain::sale::Sale;

/// A sale with the moments of its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleRecord {
    /// The sale.
    pub sale: Sale,
    /// When its catalogue was complete and Redis held it; none while it must not open.
    pub seeded_at: Option<Timestamp>,
    /// When it stopped selling.
    pub closed_at: Option<Timestamp>,
    /// When Redis and Postgres were found to agree item by item. Since then Postgres refuses orders
    /// of the sale.
    pub settled_at: Option<Timestamp>,
    /// When its keys in Redis were deleted.
    pub retired_at: Option<Timestamp>,
    /// Items sold, as committed.
    pub sold: u32,
}

/// A moment of a sale's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// Redis holds the sale.
    Seeded,
    /// The sale sells nothing any more.
    Closed,
    /// Redis holds nothing of the sale any more.
    Retired,
}
