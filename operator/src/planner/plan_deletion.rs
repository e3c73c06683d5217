//! Which actions are due for the sales of a deleted FlashSale: [`plan_deletion`].

use flashsale_engine::SaleId;
use jiff::Timestamp;

use super::observed::{Observed, Stage};

/// An action on a sale whose FlashSale is deleted. Every action may be repeated. The order of the
/// variants is the order of the actions: open sales end first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeletionAction {
    /// Close a sale, also before the end of its window.
    EndEarly(SaleId),
    /// Withdraw a sale that has not started.
    Withdraw(SaleId),
    /// Bring what the streams of a closed sale hold into Postgres.
    Settle(SaleId),
    /// Delete what Redis holds of a sale.
    Retire(SaleId),
}

/// Decides which actions are due at `now`; none: Redis holds no sale of the FlashSale any more.
///
/// Orders stay valid: an open sale is closed and settled like one that has ended, but without
/// waiting for the end of its window or for the cool-down.
pub fn plan_deletion(observed: &Observed, now: Timestamp) -> Vec<DeletionAction> {
    let in_redis = observed
        .sales
        .iter()
        .filter(|observed| observed.retired_at.is_none());
    let mut actions: Vec<DeletionAction> = in_redis
        .map(|observed| {
            let id = observed.sale.id.clone();
            match observed.stage(now) {
                Stage::Open | Stage::Ended => DeletionAction::EndEarly(id),
                Stage::Upcoming => DeletionAction::Withdraw(id),
                Stage::Closed => DeletionAction::Settle(id),
                Stage::Settled | Stage::NeverSeeded => DeletionAction::Retire(id),
            }
        })
        .collect();
    actions.sort();
    actions
}
