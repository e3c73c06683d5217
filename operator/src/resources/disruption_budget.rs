//! The PodDisruptionBudget of the API pods: one pod may be evicted at a time.
//!
//! It limits `maxUnavailable` and not `minAvailable`: with at most one pod at rest a minimum would
//! block the drain of a node for ever.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::inputs::Inputs;

pub(super) fn build(inputs: &Inputs<'_>) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: inputs.metadata(),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(inputs.selector()),
            // Pods that are not ready serve no request. If all are not ready, because a backend is
            // away, nodes can still be drained.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
