//! The part of the status that describes the API pods.

use jiff::Timestamp;

use super::conditions::{Conditions, find};
use super::events::Change;
use crate::crd::FlashSaleStatus;

/// The API pods of a FlashSale.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiPods {
    /// The desired number.
    pub desired: i32,
    /// The observed number.
    pub total: i32,
    /// How many of them are ready.
    pub ready: i32,
    /// Why they, or the objects around them, could not be applied.
    pub error: Option<String>,
    /// Their label selector.
    pub selector: String,
}

/// Adds the observed pods to a status of the sales. `before` is the status that was last written,
/// pods included.
pub fn with_api_pods(
    status: FlashSaleStatus,
    before: &FlashSaleStatus,
    pods: &ApiPods,
    now: Timestamp,
) -> (FlashSaleStatus, Vec<Change>) {
    let opened = status.active_sale.as_ref().map(|sale| sale.id.clone());
    let mut conditions = Conditions {
        before: &before.conditions,
        generation: status.observed_generation,
        now,
        list: status.conditions,
    };
    let ApiPods {
        desired,
        ready,
        error,
        ..
    } = pods;
    let counted = format!("{ready} of {desired} API pods are ready");
    match error {
        Some(error) => conditions.set("ApiAvailable", false, "NotApplied", error),
        None if ready >= desired => conditions.set("ApiAvailable", true, "PodsReady", &*counted),
        None => conditions.set("ApiAvailable", false, "PodsNotReady", &*counted),
    }
    let mut changes = Vec::new();
    let failed = |conditions: &[_]| {
        let condition = find(conditions, "ApiAvailable");
        condition.is_some_and(|condition| condition.reason == "NotApplied")
    };
    if let Some(error) = error
        && !failed(&before.conditions)
    {
        changes.push(Change {
            reason: "NotApplied",
            message: error.clone(),
            warning: true,
        });
    }
    let open = |status: &FlashSaleStatus| status.active_sale.as_ref().map(|sale| sale.id.clone());
    let opened = opened.filter(|id| open(before).as_ref() != Some(id));
    if let Some(id) = opened
        && ready < desired
    {
        changes.push(Change {
            reason: "NotEnoughPods",
            message: format!("{id} has opened, and {counted}"),
            warning: true,
        });
    }
    let status = FlashSaleStatus {
        conditions: conditions.list,
        replicas: Some(pods.total),
        selector: Some(pods.selector.clone()),
        ..status
    };
    (status, changes)
}
