//! What has changed since the last status.

use std::fmt;

use super::conditions::find;
use crate::crd::{FlashSaleStatus, PastSale, Phase, SaleResult};

/// Something that a person would want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// One word, as Kubernetes events have it.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
    /// Whether something is wrong.
    pub warning: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.warning { "!" } else { " " };
        write!(f, "{mark} {:<12} {}", self.reason, self.message)
    }
}

/// What has happened between two statuses, in the order in which it happens. `past` are the sales
/// that have become past: the history of a status is limited, and does not tell.
pub fn changes(
    before: &FlashSaleStatus,
    after: &FlashSaleStatus,
    past: &[&PastSale],
) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut tell = |warning, reason, message| {
        changes.push(Change {
            reason,
            message,
            warning,
        })
    };

    let of = |status: &FlashSaleStatus, type_| find(&status.conditions, type_).cloned();
    let word = |status| of(status, "Ready").map(|ready| (ready.status, ready.reason));
    let (known, ready) = (word(before), of(after, "Ready"));
    match ready.filter(|_| known != word(after)) {
        // That there is nothing to come is told below.
        Some(now) if now.status == "False" && !came_to_nothing(after) => {
            tell(true, "NotReady", now.message);
        }
        Some(now) if now.status == "True" && known.is_some_and(|(status, _)| status == "False") => {
            tell(
                false,
                "Ready",
                "everything is as it should be again".to_owned(),
            );
        }
        _ => {}
    }
    if let Some(sale) = &before.active_sale
        && after
            .active_sale
            .as_ref()
            .is_none_or(|now| now.id != sale.id)
    {
        tell(
            false,
            "Ended",
            format!(
                "{} has ended, {} of {} items are sold so far",
                sale.id, sale.sold, sale.total
            ),
        );
    }
    for sale in past {
        let (warning, reason, message) = over(sale);
        tell(warning, reason, message);
    }
    if let Some(next) = &after.next_sale {
        let known = before
            .next_sale
            .as_ref()
            .filter(|known| known.id == next.id);
        if known.is_none() {
            tell(
                false,
                "Scheduled",
                format!(
                    "{} opens at {} and ends at {}",
                    next.id, next.starts_at.0, next.ends_at.0
                ),
            );
        }
        if next.seeded && known.is_none_or(|known| !known.seeded) {
            tell(false, "Seeded", format!("{} is ready to open", next.id));
        }
    }
    if let Some(sale) = &after.active_sale {
        let known = before
            .active_sale
            .as_ref()
            .filter(|known| known.id == sale.id);
        if known.is_none() {
            tell(
                false,
                "Opened",
                format!(
                    "{} sells {} items until {}",
                    sale.id, sale.total, sale.ends_at.0
                ),
            );
        }
        if let Some(at) = &sale.sold_out_at
            && known.is_none_or(|known| known.sold_out_at.is_none())
        {
            let after = at.0.duration_since(sale.starts_at.0);
            tell(
                false,
                "SoldOut",
                format!(
                    "{}: all {} items are sold, {after:#} after the start",
                    sale.id, sale.total
                ),
            );
        }
    }
    if before.phase != Phase::Suspended && after.phase == Phase::Suspended {
        tell(false, "Suspended", "no further sale is opened".to_owned());
    }
    let why = |status| of(status, "Seeded").map(|seeded| seeded.message);
    if after.phase == Phase::Finished
        && (before.phase != Phase::Finished || why(before) != why(after))
    {
        let message = why(after).unwrap_or_default();
        tell(came_to_nothing(after), "Finished", message);
    }
    changes
}

/// Whether it is at its end without having done what it was asked for.
fn came_to_nothing(status: &FlashSaleStatus) -> bool {
    let reason = |type_| find(&status.conditions, type_).map(|condition| &condition.reason);
    status.phase == Phase::Finished && reason("Ready") == reason("Seeded")
}

fn over(sale: &PastSale) -> (bool, &'static str, String) {
    match (&sale.result, sale.total) {
        (SaleResult::Successful, Some(total)) => (
            false,
            "Settled",
            format!(
                "{}: {} of {total} items are sold and settled",
                sale.id, sale.sold
            ),
        ),
        _ => {
            let why = sale.message.as_deref().unwrap_or("it could not be held");
            (true, "Failed", format!("{}: {why}", sale.id))
        }
    }
}
