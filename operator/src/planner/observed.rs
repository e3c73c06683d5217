//! The observed state: the input of the planner.

use flashsale_engine::{Sale, SaleId, SaleRecord};
use jiff::Timestamp;

use super::actions::Upcoming;
use crate::crd::PastSale;

/// The observed state of the sales of a FlashSale.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// The sales that are in Postgres, in any order.
    pub sales: Vec<ObservedSale>,
    /// The failed sales that the status holds. A start that was missed is recorded nowhere else.
    pub failed: Vec<PastSale>,
    /// When a suspension ended, if there was one: a start before that was not missed.
    pub resumed_at: Option<Timestamp>,
    /// When the partitions of the attempts were last maintained.
    pub partitions_maintained_at: Option<Timestamp>,
}

/// A sale that is in Postgres.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedSale {
    /// The sale as it was seeded.
    pub sale: Sale,
    /// When its catalogue was complete in Postgres and Redis held it; `None`: it is being seeded or
    /// withdrawn.
    pub seeded_at: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// When Redis and Postgres agreed on every item of it.
    pub settled_at: Option<Timestamp>,
    /// When it was deleted from Redis.
    pub retired_at: Option<Timestamp>,
    /// How many of its items are sold in Postgres.
    pub sold: u32,
}

/// How far a sale is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not started.
    Upcoming,
    /// It is open.
    Open,
    /// It has ended and is not closed.
    Ended,
    /// It is closed and not settled.
    Closed,
    /// It is closed and settled.
    Settled,
    /// Its start has passed, and it was not seeded.
    NeverSeeded,
}

impl Observed {
    /// The sale with this id, if it is in Postgres.
    pub fn find(&self, id: &SaleId) -> Option<&ObservedSale> {
        self.sales.iter().find(|observed| observed.sale.id == *id)
    }

    /// The start of the first sale.
    pub(super) fn earliest_start(&self) -> Option<Timestamp> {
        self.sales
            .iter()
            .map(|observed| observed.sale.window.starts_at)
            .min()
    }
}

impl From<SaleRecord> for ObservedSale {
    fn from(record: SaleRecord) -> Self {
        Self {
            sale: record.sale,
            seeded_at: record.seeded_at,
            closed_at: record.closed_at,
            settled_at: record.settled_at,
            retired_at: record.retired_at,
            sold: record.sold,
        }
    }
}

impl ObservedSale {
    pub(super) fn stage(&self, now: Timestamp) -> Stage {
        let window = self.sale.window;
        match (self.closed_at, self.settled_at) {
            _ if now < window.starts_at => Stage::Upcoming,
            _ if !self.is_held() => Stage::NeverSeeded,
            (None, _) if now < window.ends_at => Stage::Open,
            (None, _) => Stage::Ended,
            (Some(_), None) => Stage::Closed,
            (Some(_), Some(_)) => Stage::Settled,
        }
    }

    /// Whether it has opened, or will open: a sale that was never seeded counts as none. A sale of
    /// which something is sold has opened, whatever its other columns hold.
    pub(super) fn is_held(&self) -> bool {
        self.seeded_at.is_some() || self.sold > 0
    }

    pub(super) fn as_upcoming(&self) -> Upcoming {
        Upcoming {
            id: self.sale.id.clone(),
            window: self.sale.window,
            seeded: self.is_held(),
        }
    }
}
