//! What is told about the API pods, beside what is told about the sales.

use jiff::Timestamp;

use super::conditions::{Conditions, find};
use super::{Change, FlashSaleStatus};

/// The API pods of a FlashSale.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pods {
    /// How many are wanted.
    pub wanted: i32,
    /// How many there are.
    pub total: i32,
    /// How many of them are ready.
    pub ready: i32,
    /// Why they, or what stands around them, could not be made.
    pub fault: Option<String>,
    /// Their label selector.
    pub selector: String,
}

/// Adds what is known of the pods to a status of the sales. `before` is the status that was last
/// told, pods included.
pub fn with_pods(
    status: FlashSaleStatus,
    before: &FlashSaleStatus,
    pods: &Pods,
    now: Timestamp,
) -> (FlashSaleStatus, Vec<Change>) {
    let opened = status.active_sale.as_ref().map(|sale| sale.id.clone());
    let mut conditions = Conditions {
        before: &before.conditions,
        generation: status.observed_generation,
        now,
        list: status.conditions,
    };
    let Pods {
        wanted,
        ready,
        fault,
        ..
    } = pods;
    let counted = format!("{ready} of {wanted} API pods are ready");
    match fault {
        Some(fault) => conditions.set("ApiAvailable", false, "NotApplied", fault),
        None if ready >= wanted => conditions.set("ApiAvailable", true, "PodsReady", &*counted),
        None => conditions.set("ApiAvailable", false, "PodsNotReady", &*counted),
    }
    let mut changes = Vec::new();
    let failed = |conditions: &[_]| {
        let condition = find(conditions, "ApiAvailable");
        condition.is_some_and(|condition| condition.reason == "NotApplied")
    };
    if let Some(fault) = fault
        && !failed(&before.conditions)
    {
        changes.push(Change {
            reason: "NotApplied",
            message: fault.clone(),
            warning: true,
        });
    }
    let open = |status: &FlashSaleStatus| status.active_sale.as_ref().map(|sale| sale.id.clone());
    let opened = opened.filter(|id| open(before).as_ref() != Some(id));
    if let Some(id) = opened
        && ready < wanted
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
