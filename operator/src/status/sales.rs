//! What is told about a FlashSale: its status, and what has changed since the last one.
//!
//! Both are pure functions, so that every driver tells the same. A status is made from the one
//! before it: the time of a condition moves only when the condition turns, so a status in which
//! nothing has changed is equal to the one before and need not be written.

mod changes;
mod conditions;
mod pods;

use flashsale_engine::{FlashSaleName, SaleId};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::crd::{ActiveSale, FlashSaleStatus, NextSale, Phase};
use crate::planner::{Observed, Plan};
use crate::planner::{FieldError, Settings};
use crate::backends::Problem;
pub use changes::{Change, changes};
use conditions::Conditions;
pub use conditions::resumed_at;
pub use pods::{Pods, with_pods};

/// How it went to look and to act.
#[derive(Debug, Default)]
pub struct Health {
    /// Whether Postgres has answered what it knows of the sales.
    pub looked: bool,
    /// Why something could not be done.
    pub problem: Option<Problem>,
    /// Why Redis is not fit for a sale although it answers.
    pub unfit: Option<String>,
}

/// The status that goes with a plan.
pub fn status(
    settings: &Settings,
    plan: &Plan,
    observed: &Observed,
    health: &Health,
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
    let next_sale = plan.next.as_ref().ok().map(|next| NextSale {
        id: next.id.to_string(),
        starts_at: Time(next.window.starts_at),
        ends_at: Time(next.window.ends_at),
        seeded: next.seeded,
    });
    let mut conditions = conditions(settings, before, now);
    conditions.stores(health, plan.next.as_ref().err());
    let seeded = match (&active_sale, &plan.next) {
        (Some(sale), _) => (true, "Open", format!("{} is open", sale.id)),
        (None, Ok(next)) if next.seeded => {
            (true, "Prepared", format!("{} is ready to open", next.id))
        }
        (None, Ok(next)) => (false, "NotYet", format!("{} is not prepared yet", next.id)),
        (None, Err(no_next)) => (false, no_next.reason(), no_next.to_string()),
    };
    conditions.set("Seeded", seeded.0, seeded.1, seeded.2);
    match &active_sale {
        Some(sale) if plan.phase == Phase::SoldOut => {
            let message = format!("everything in {} is sold", sale.id);
            conditions.set("Selling", false, "SoldOut", message);
        }
        Some(sale) => conditions.set("Selling", true, "Open", format!("{} is open", sale.id)),
        None => conditions.set("Selling", false, "NoSale", "no sale is open"),
    }
    conditions.suspended(settings.suspend);
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

/// The status before Postgres has been looked at for the first time. What another process has
/// told of the sales stays, because nothing newer is known; only conditions change.
pub fn unlooked(
    settings: &Settings,
    health: &Health,
    before: &FlashSaleStatus,
    now: Timestamp,
) -> FlashSaleStatus {
    let mut conditions = conditions(settings, before, now);
    conditions.stores(health, None);
    conditions.keep("Seeded");
    conditions.keep("Selling");
    conditions.suspended(settings.suspend);
    FlashSaleStatus {
        observed_generation: settings.generation,
        conditions: conditions.list,
        active_sale: still_open(before, now),
        ..before.clone()
    }
}

/// Why a resource cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is wrong: only a change of it helps.
    Invalid,
    /// It refers to something that is not there, or is not what it has to be.
    Reference,
}

/// The status of a resource that cannot be carried out: why not, beside what is known of its sales.
/// `before` is the status that was last told.
pub fn refused(
    why: Refusal,
    errors: &[FieldError],
    generation: Option<i64>,
    known: &FlashSaleStatus,
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
    let (phase, reason) = match why {
        Refusal::Invalid => (Phase::Invalid, "Invalid"),
        // As far as it was known before.
        Refusal::Reference if known.phase == Phase::Invalid => (Phase::Pending, "WrongReference"),
        Refusal::Reference => (known.phase, "WrongReference"),
    };
    conditions.set("Ready", false, reason, messages.join("; "));
    let others = known.conditions.iter();
    let others = others.filter(|condition| condition.type_ != "Ready");
    conditions.list.extend(others.cloned());
    FlashSaleStatus {
        phase,
        observed_generation: generation,
        conditions: conditions.list,
        active_sale: still_open(known, now),
        ..known.clone()
    }
}

/// The open sale of a status that nobody can bring up to date: it is over by the clock at the
/// latest, and its stores may then be changed.
fn still_open(status: &FlashSaleStatus, now: Timestamp) -> Option<ActiveSale> {
    let open = status.active_sale.as_ref();
    open.filter(|sale| sale.ends_at.0 > now).cloned()
}

/// What a status tells of this FlashSale: nothing, where it tells of sales of another.
pub fn of_this(status: FlashSaleStatus, name: &FlashSaleName) -> FlashSaleStatus {
    let ours = |id: &str| id.parse::<SaleId>().is_ok_and(|id| id.flash_sale() == name);
    let active = status.active_sale.iter().map(|sale| &sale.id);
    let next = status.next_sale.iter().map(|sale| &sale.id);
    let past = status.history.iter().map(|sale| &sale.id);
    match active.chain(next).chain(past).all(|id| ours(id)) {
        true => status,
        // Its conditions are those of the other one too.
        false => FlashSaleStatus {
            history: status
                .history
                .into_iter()
                .filter(|sale| ours(&sale.id))
                .collect(),
            ..FlashSaleStatus::default()
        },
    }
}

fn conditions<'a>(
    settings: &Settings,
    before: &'a FlashSaleStatus,
    now: Timestamp,
) -> Conditions<'a> {
    Conditions {
        before: &before.conditions,
        generation: settings.generation,
        now,
        list: vec![],
    }
}

#[cfg(test)]
mod tests;
