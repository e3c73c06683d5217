//! The observed API pods of a FlashSale, according to its Deployment.

use k8s_openapi::api::apps::v1::Deployment;

use crate::status::ApiPods;

/// The pods of a Deployment, of which `desired` are to run.
pub(super) fn api_pods(
    deployment: Option<&Deployment>,
    desired: i32,
    selector: String,
    error: Option<String>,
) -> ApiPods {
    let status = deployment.and_then(|deployment| deployment.status.as_ref());
    ApiPods {
        desired,
        total: status.and_then(|status| status.replicas).unwrap_or(0),
        ready: status.and_then(|status| status.ready_replicas).unwrap_or(0),
        error,
        selector,
    }
}

/// The number of pods that was applied last: the minimum of the autoscaler if there is one.
pub(super) fn applied_replicas(
    deployment: Option<&Deployment>,
    autoscaler_minimum: Option<i32>,
) -> Option<i32> {
    let spec = deployment?.spec.as_ref()?;
    autoscaler_minimum.or(spec.replicas)
}
