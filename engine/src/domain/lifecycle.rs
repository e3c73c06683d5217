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
    /// Items sold, as committed; of a large sale that is open, up to ten seconds ago.
    pub sold: u32,
}

impl SaleRecord {
    /// How far the sale has come.
    pub fn stage(&self) -> SaleStage {
        SaleStage::of(
            self.seeded_at.is_some(),
            self.closed_at.is_some(),
            self.settled_at.is_some(),
        )
    }
}

/// How far a sale has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaleStage {
    /// It is being seeded, or was withdrawn: it must not open.
    Unseeded,
    /// It sells within its window; Redis must hold it.
    ForSale,
    /// It stopped selling. Orders of claims from before may still come.
    Closed,
    /// No order comes any more.
    Settled,
}

impl SaleStage {
    /// The stage of a sale that has reached these milestones.
    pub const fn of(is_seeded: bool, is_closed: bool, is_settled: bool) -> Self {
        match (is_seeded, is_closed, is_settled) {
            (_, _, true) => Self::Settled,
            (_, true, false) => Self::Closed,
            (true, false, false) => Self::ForSale,
            (false, false, false) => Self::Unseeded,
        }
    }
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
