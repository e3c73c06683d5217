//! The part of the status that describes the sales.

use flashsale_engine::{FlashSaleName, SaleId};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::conditions::{Conditions, Health};
use crate::crd::{ActiveSale, FlashSaleStatus, NextSale};
use crate::planner::{Observed, Plan, Settings};

/// The status for a plan and the observed state.
pub fn status(
    settings: &Settings,
    plan: &Plan,
    observed: &Observed,
    health: &Health,
    before: &FlashSaleStatus,
    now: Timestamp,
) -> FlashSaleStatus {
    let active_sale = active_sale(plan, observed, before, now);
    let next_sale = plan.next.as_ref().ok().map(|next| NextSale {
        id: next.id.to_string(),
        starts_at: Time(next.window.starts_at),
        ends_at: Time(next.window.ends_at),
        seeded: next.seeded,
    });
    let mut conditions = conditions(settings, before, now);
    conditions.backends(health, plan.next.as_ref().err());
    conditions.seeded(active_sale.as_ref(), plan);
    conditions.selling(active_sale.as_ref(), plan.phase);
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

fn active_sale(
    plan: &Plan,
    observed: &Observed,
    before: &FlashSaleStatus,
    now: Timestamp,
) -> Option<ActiveSale> {
    plan.active
        .as_ref()
        .and_then(|id| observed.find(id))
        .map(|observed| {
            let (sold, total) = (observed.sold, observed.sale.limits.total);
            let id = observed.sale.id.to_string();
            let same_sale = before.active_sale.as_ref().filter(|sale| sale.id == id);
            let sold_out_at = same_sale.and_then(|sale| sale.sold_out_at.clone());
            ActiveSale {
                id,
                starts_at: Time(observed.sale.window.starts_at),
                ends_at: Time(observed.sale.window.ends_at),
                total: total as i32,
                sold: sold as i32,
                sold_of_total: format!("{sold}/{total}"),
                sold_out_at: sold_out_at.or((sold >= total).then_some(Time(now))),
            }
        })
}

/// The status before the first observation of Postgres. What another process has written of the
/// sales stays, because nothing newer is observed; only conditions change.
pub fn before_first_observation(
    settings: &Settings,
    health: &Health,
    before: &FlashSaleStatus,
    now: Timestamp,
) -> FlashSaleStatus {
    let mut conditions = conditions(settings, before, now);
    conditions.backends(health, None);
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

/// The open sale of a status that cannot be updated from Postgres: the sale has ended at the latest
/// when its window ends, and `spec.redis` and `spec.postgres` may change then.
pub(super) fn still_open(status: &FlashSaleStatus, now: Timestamp) -> Option<ActiveSale> {
    let open = status.active_sale.as_ref();
    open.filter(|sale| sale.ends_at.0 > now).cloned()
}

/// The status, if it describes the sales of this FlashSale; an empty one if it describes those of
/// another.
pub fn of_flash_sale(status: FlashSaleStatus, name: &FlashSaleName) -> FlashSaleStatus {
    let ours = |id: &str| id.parse::<SaleId>().is_ok_and(|id| id.flash_sale() == name);
    let active = status.active_sale.iter().map(|sale| &sale.id);
    let next = status.next_sale.iter().map(|sale| &sale.id);
    let past = status.history.iter().map(|sale| &sale.id);
    match active.chain(next).chain(past).all(|id| ours(id)) {
        true => status,
        // The conditions describe the other FlashSale too.
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
