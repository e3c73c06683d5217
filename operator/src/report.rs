//! What is told about a FlashSale: its status, and what has changed since the last one.
//!
//! Both are pure functions, so that every driver tells the same. A status is made from the one
//! before it: the time of a condition moves only when the condition turns, so a status in which
//! nothing has changed is equal to the one before and need not be written.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::{ActiveSale, FlashSaleStatus, NextSale, PastSale, Phase, SaleResult};
use crate::plan::{Observed, Plan};
use crate::settings::{FieldError, Settings};
use crate::stores::Problem;

/// The status that goes with a plan. `problem` is why the plan could not be carried out.
pub fn status(
    settings: &Settings,
    plan: &Plan,
    observed: &Observed,
    problem: Option<&Problem>,
    before: &FlashSaleStatus,
    now: Timestamp,
) -> FlashSaleStatus {
    let active_sale = plan
        .active
        .as_ref()
        .and_then(|id| observed.find(id))
        .map(|known| {
            let (sold, total) = (known.sold, known.sale.limits.total);
            let id = known.sale.id.to_string();
            let first_seen = before.active_sale.as_ref().filter(|sale| sale.id == id);
            let sold_out_at = first_seen.and_then(|sale| sale.sold_out_at.clone());
            ActiveSale {
                id,
                starts_at: Time(known.sale.window.starts_at),
                ends_at: Time(known.sale.window.ends_at),
                total: total as i32,
                sold: sold as i32,
                sold_of_total: format!("{sold}/{total}"),
                sold_out_at: sold_out_at.or((sold >= total).then_some(Time(now))),
            }
        });
    let next_sale = plan.next.as_ref().map(|next| NextSale {
        id: next.id.to_string(),
        starts_at: Time(next.window.starts_at),
        ends_at: Time(next.window.ends_at),
        seeded: next.seeded,
    });
    let mut conditions = Conditions {
        before: &before.conditions,
        generation: settings.generation,
        now,
        list: vec![],
    };
    conditions.stores(problem);
    let seeded = match (&active_sale, &next_sale) {
        (Some(sale), _) => (true, "Open", format!("{} is open", sale.id)),
        (None, Some(next)) if next.seeded => {
            (true, "Prepared", format!("{} is ready to open", next.id))
        }
        (None, Some(next)) => (false, "NotYet", format!("{} is not prepared yet", next.id)),
        (None, None) => (false, "NoSale", "there is no sale to come".to_owned()),
    };
    conditions.set("Seeded", seeded.0, seeded.1, seeded.2);
    match &active_sale {
        Some(sale) if plan.phase == Phase::SoldOut => {
            conditions.set(
                "Selling",
                false,
                "SoldOut",
                format!("everything in {} is sold", sale.id),
            );
        }
        Some(sale) => conditions.set("Selling", true, "Open", format!("{} is open", sale.id)),
        None => conditions.set("Selling", false, "NoSale", "no sale is open"),
    }
    match settings.suspend {
        true => conditions.set("Suspended", true, "Suspended", "no further sale is opened"),
        false => conditions.set("Suspended", false, "Scheduled", "sales open as scheduled"),
    }
    FlashSaleStatus {
        phase: plan.phase,
        observed_generation: settings.generation,
        conditions: conditions.list,
        active_sale,
        next_sale,
        history: plan.history.clone(),
        replicas: before.replicas,
        selector: before.selector.clone(),
    }
}

/// The status of a resource that cannot be carried out: what was, and why not.
pub fn invalid(
    errors: &[FieldError],
    generation: Option<i64>,
    before: &FlashSaleStatus,
    now: Timestamp,
) -> FlashSaleStatus {
    let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let mut conditions = Conditions {
        before: &before.conditions,
        generation,
        now,
        list: vec![],
    };
    conditions.set("Ready", false, "Invalid", messages.join("; "));
    FlashSaleStatus {
        phase: Phase::Invalid,
        observed_generation: generation,
        conditions: conditions.list,
        ..before.clone()
    }
}

/// Collects conditions; keeps the time of each that has not turned.
struct Conditions<'a> {
    before: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
    list: Vec<Condition>,
}

impl Conditions<'_> {
    fn set(&mut self, type_: &str, status: bool, reason: &str, message: impl Into<String>) {
        self.set_to(
            type_,
            if status { "True" } else { "False" },
            reason,
            message,
        );
    }

    fn set_to(&mut self, type_: &str, status: &str, reason: &str, message: impl Into<String>) {
        let same = self
            .before
            .iter()
            .find(|c| c.type_ == type_ && c.status == status);
        self.list.push(Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.into(),
            observed_generation: self.generation,
            last_transition_time: same.map_or(Time(self.now), |condition| {
                condition.last_transition_time.clone()
            }),
        });
    }

    fn stores(&mut self, problem: Option<&Problem>) {
        let Some(problem) = problem else {
            self.set("Ready", true, "Ready", "the schedule is carried out");
            self.set("DatabaseReady", true, "Connected", "Postgres answers");
            self.set("RedisReady", true, "Connected", "Redis answers");
            return;
        };
        let message = problem.to_string();
        self.set("Ready", false, problem.reason(), message.clone());
        for (type_, store) in [("DatabaseReady", "Postgres"), ("RedisReady", "Redis")] {
            match problem.store() {
                Some(failed) if failed == store => {
                    self.set(type_, false, problem.reason(), message.clone());
                }
                _ => self.set_to(type_, "Unknown", "NotAsked", "another fault came first"),
            }
        }
    }
}

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

/// What has happened between two statuses, in the order in which it happens.
pub fn changes(before: &FlashSaleStatus, after: &FlashSaleStatus) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut tell = |warning, reason, message| {
        changes.push(Change {
            reason,
            message,
            warning,
        })
    };

    let of = |status| ready(status).map_or(("", ""), |c| (c.status.as_str(), c.reason.as_str()));
    match (of(before), ready(after)) {
        (known, Some(now)) if now.status == "False" && known != of(after) => {
            tell(true, "NotReady", now.message.clone());
        }
        (("False", _), Some(now)) if now.status == "True" => {
            tell(false, "Ready", "everything answers again".to_owned());
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
    for sale in after.history.iter().rev() {
        if before.history.iter().all(|known| known.id != sale.id) {
            let (warning, reason, message) = past(sale);
            tell(warning, reason, message);
        }
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
    if before.phase != Phase::Finished && after.phase == Phase::Finished {
        tell(false, "Finished", "there is no sale to come".to_owned());
    }
    changes
}

fn past(sale: &PastSale) -> (bool, &'static str, String) {
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

fn ready(status: &FlashSaleStatus) -> Option<&Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
}

#[cfg(test)]
mod tests;
