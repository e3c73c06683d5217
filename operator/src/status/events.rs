//! The changes between two statuses. Each becomes an event, or a line of the local mode.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::conditions::find;
use crate::crd::{ActiveSale, FlashSaleStatus, NextSale, PastSale, Phase, SaleResult};

/// A change of a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// One word, as the reason of a Kubernetes event.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
    /// Whether the event is a warning.
    pub warning: bool,
}

impl Change {
    fn normal(reason: &'static str, message: String) -> Self {
        Self {
            reason,
            message,
            warning: false,
        }
    }

    fn warning(reason: &'static str, message: String) -> Self {
        Self {
            warning: true,
            ..Self::normal(reason, message)
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.warning { "!" } else { " " };
        write!(f, "{mark} {:<12} {}", self.reason, self.message)
    }
}

/// The changes between two statuses, in the order in which they happen. `past` are the sales that
/// have become past: the history of a status is limited, and may not hold them.
pub fn changes(
    before: &FlashSaleStatus,
    after: &FlashSaleStatus,
    past: &[&PastSale],
) -> Vec<Change> {
    let mut changes = Vec::new();
    changes.extend(readiness(before, after));
    changes.extend(ended(before, after));
    changes.extend(past.iter().map(|sale| past_sale(sale)));
    if let Some(next) = &after.next_sale {
        changes.extend(next_sale(before.next_sale.as_ref(), next));
    }
    if let Some(sale) = &after.active_sale {
        changes.extend(active_sale(before.active_sale.as_ref(), sale));
    }
    if before.phase != Phase::Suspended && after.phase == Phase::Suspended {
        let message = "no further sale is opened".to_owned();
        changes.push(Change::normal("Suspended", message));
    }
    changes.extend(finished(before, after));
    changes
}

fn condition<'s>(status: &'s FlashSaleStatus, type_: &str) -> Option<&'s Condition> {
    find(&status.conditions, type_)
}

/// A change of the condition Ready: of its status or its reason.
fn readiness(before: &FlashSaleStatus, after: &FlashSaleStatus) -> Option<Change> {
    let was = condition(before, "Ready");
    let is = condition(after, "Ready")?;
    if was.is_some_and(|was| (&was.status, &was.reason) == (&is.status, &is.reason)) {
        return None;
    }
    match is.status.as_str() {
        // `Finished` reports that no sale is to come.
        "False" if !is_finished_by_failure(after) => {
            Some(Change::warning("NotReady", is.message.clone()))
        }
        "True" if was.is_some_and(|was| was.status == "False") => Some(Change::normal(
            "Ready",
            "everything is as it should be again".to_owned(),
        )),
        _ => None,
    }
}

fn ended(before: &FlashSaleStatus, after: &FlashSaleStatus) -> Option<Change> {
    let was = before.active_sale.as_ref()?;
    let is_open = after.active_sale.as_ref().is_some_and(|is| is.id == was.id);
    let ActiveSale {
        id, sold, total, ..
    } = was;
    let message = format!("{id} has ended, {sold} of {total} items are sold so far");
    (!is_open).then(|| Change::normal("Ended", message))
}

fn past_sale(sale: &PastSale) -> Change {
    let PastSale { id, sold, .. } = sale;
    match (&sale.result, sale.total) {
        (SaleResult::Successful, Some(total)) => Change::normal(
            "Settled",
            format!("{id}: {sold} of {total} items are sold and settled"),
        ),
        _ => {
            let why = sale.message.as_deref().unwrap_or("it could not be held");
            Change::warning("Failed", format!("{id}: {why}"))
        }
    }
}

fn next_sale(before: Option<&NextSale>, next: &NextSale) -> Vec<Change> {
    let NextSale { id, .. } = next;
    let same_sale = before.filter(|before| before.id == *id);
    let mut changes = Vec::new();
    if same_sale.is_none() {
        let (starts_at, ends_at) = (next.starts_at.0, next.ends_at.0);
        let message = format!("{id} opens at {starts_at} and ends at {ends_at}");
        changes.push(Change::normal("Scheduled", message));
    }
    if next.seeded && same_sale.is_none_or(|before| !before.seeded) {
        let message = format!("{id} is ready to open");
        changes.push(Change::normal("Seeded", message));
    }
    changes
}

fn active_sale(before: Option<&ActiveSale>, sale: &ActiveSale) -> Vec<Change> {
    let ActiveSale { id, total, .. } = sale;
    let same_sale = before.filter(|before| before.id == *id);
    let mut changes = Vec::new();
    if same_sale.is_none() {
        let message = format!("{id} sells {total} items until {}", sale.ends_at.0);
        changes.push(Change::normal("Opened", message));
    }
    if let Some(sold_out_at) = &sale.sold_out_at
        && same_sale.is_none_or(|before| before.sold_out_at.is_none())
    {
        let after = sold_out_at.0.duration_since(sale.starts_at.0);
        let message = format!("{id}: all {total} items are sold, {after:#} after the start");
        changes.push(Change::normal("SoldOut", message));
    }
    changes
}

fn finished(before: &FlashSaleStatus, after: &FlashSaleStatus) -> Option<Change> {
    let message = |status| condition(status, "Seeded").map(|seeded| &seeded.message);
    let is_new = before.phase != Phase::Finished || message(before) != message(after);
    if after.phase != Phase::Finished || !is_new {
        return None;
    }
    let text = message(after).cloned().unwrap_or_default();
    Some(match is_finished_by_failure(after) {
        true => Change::warning("Finished", text),
        false => Change::normal("Finished", text),
    })
}

/// Whether no sale is to come, and the one sale of the resource was not held.
fn is_finished_by_failure(status: &FlashSaleStatus) -> bool {
    let reason = |type_| condition(status, type_).map(|condition| &condition.reason);
    status.phase == Phase::Finished && reason("Ready") == reason("Seeded")
}
