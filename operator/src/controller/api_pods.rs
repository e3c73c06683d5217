//! How the API pods of a FlashSale are, as its Deployment tells.

use k8s_openapi::api::apps::v1::Deployment;

use crate::status::Pods;

/// What the Deployment says. `wanted` of them are.
pub(super) fn pods(deployment: Option<&Deployment>, wanted: i32, selector: String) -> Pods {
    let status = deployment.and_then(|deployment| deployment.status.as_ref());
    Pods {
        wanted,
        total: status.and_then(|status| status.replicas).unwrap_or(0),
        ready: status.and_then(|status| status.ready_replicas).unwrap_or(0),
        fault: None,
        selector,
    }
}

/// How many pods the cluster is told to run now.
pub(super) fn current(deployment: Option<&Deployment>, at_least: Option<i32>) -> Option<i32> {
    let spec = deployment?.spec.as_ref()?;
    // Where an autoscaler moves the number, it is its minimum that we have set.
    at_least.or(spec.replicas)
}
