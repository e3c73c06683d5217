//! What is known of the sales when a plan is made.

use flashsale_engine::{Sale, SaleId, SaleRecord};
use jiff::Timestamp;

use super::Upcoming;
use crate::crd::PastSale;

/// What is known when a plan is made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// The sales that Postgres knows, in any order.
    pub sales: Vec<KnownSale>,
    /// The failed sales that the status holds; a start that was missed is nowhere else.
    pub failed: Vec<PastSale>,
    /// When a suspension ended, if there was one: a start before that was not missed.
    pub resumed_at: Option<Timestamp>,
    /// When the partitions of the attempts were last looked after.
    pub attempts_kept_at: Option<Timestamp>,
}

/// A sale that Postgres knows.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownSale {
    /// What it is, as it was seeded.
    pub sale: Sale,
    /// When its catalogue was complete and Redis held it; `None`: seeding was begun and has not
    /// come to its end, or the sale is being taken back.
    pub seeded_at: Option<Timestamp>,
    /// When it was stopped for good.
    pub closed_at: Option<Timestamp>,
    /// When Redis and Postgres agreed on it.
    pub settled_at: Option<Timestamp>,
    /// When Redis was told to forget it.
    pub retired_at: Option<Timestamp>,
    /// How many items Postgres has sold of it.
    pub sold: u32,
}

/// How far a sale is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not started.
    Upcoming,
    /// It sells.
    Open,
    /// It has ended and is not closed.
    Ended,
    /// It is closed and not settled.
    Closed,
    /// It is over in every respect.
    Settled,
    /// Its start has passed and it was not seeded.
    NeverSeeded,
}

impl Observed {
    /// The sale with this id, if Postgres knows it.
    pub fn find(&self, id: &SaleId) -> Option<&KnownSale> {
        self.sales.iter().find(|known| known.sale.id == *id)
    }

    /// The start of the first sale that is known.
    pub(super) fn earliest_start(&self) -> Option<Timestamp> {
        self.sales
            .iter()
            .map(|known| known.sale.window.starts_at)
            .min()
    }
}

impl From<SaleRecord> for KnownSale {
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

impl KnownSale {
    pub(super) fn stage(&self, now: Timestamp) -> Stage {
        let window = self.sale.window;
        match (self.closed_at, self.settled_at) {
            _ if now < window.starts_at => Stage::Upcoming,
            _ if !self.held() => Stage::NeverSeeded,
            (None, _) if now < window.ends_at => Stage::Open,
            (None, _) => Stage::Ended,
            (Some(_), None) => Stage::Closed,
            (Some(_), Some(_)) => Stage::Settled,
        }
    }

    /// Whether it was opened, or will be: one that was never seeded is as good as none. What has
    /// sold something was opened, whatever else is noted of it.
    pub(super) fn held(&self) -> bool {
        self.seeded_at.is_some() || self.sold > 0
    }

    pub(super) fn as_upcoming(&self) -> Upcoming {
        Upcoming {
            id: self.sale.id.clone(),
            window: self.sale.window,
            seeded: self.held(),
        }
    }
}
