//! What is to be done with the sales of a FlashSale that is deleted.

use flashsale_engine::SaleId;
use jiff::Timestamp;

use super::Observed;
use super::known::Stage;

/// Something to do with a sale whose FlashSale is deleted. All of it may be repeated. In this
/// order, so that what sells is stopped first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Removal {
    /// Stop a sale, whether or not it has come to its end, for good.
    Stop(SaleId),
    /// Take back a sale that has not started.
    Withdraw(SaleId),
    /// Bring Postgres up to date with a stopped sale.
    Settle(SaleId),
    /// Delete what Redis holds of a sale.
    Retire(SaleId),
}

/// What is to be done at `now`; nothing: Redis holds no sale any more.
///
/// What was sold stays sold: a sale that is open is stopped and settled like one that has ended,
/// but neither its end nor the cool-down is waited for.
pub fn removal(observed: &Observed, now: Timestamp) -> Vec<Removal> {
    let held = observed
        .sales
        .iter()
        .filter(|known| known.retired_at.is_none());
    let mut removal: Vec<Removal> = held
        .map(|known| {
            let id = known.sale.id.clone();
            match known.stage(now) {
                Stage::Open | Stage::Ended => Removal::Stop(id),
                Stage::Upcoming => Removal::Withdraw(id),
                Stage::Closed => Removal::Settle(id),
                Stage::Settled | Stage::NeverSeeded => Removal::Retire(id),
            }
        })
        .collect();
    removal.sort();
    removal
}
