//! How many pods may be taken away at once, when a node is drained: one.
//!
//! In terms of what is missing and not of what stays: with none or one pod at rest a minimum
//! would hold a drain up for ever, this never does.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Inputs;

pub(super) fn build(inputs: &Inputs<'_>) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: inputs.metadata(),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(inputs.selector()),
            // Pods that are not ready serve nobody. Where all are not, because a store is away,
            // nodes can still be drained.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
