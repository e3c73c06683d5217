//! The number of pods under load, where it may grow with it.
//!
//! The operator moves the minimum, ahead of a sale and after it, so that the pods of a sale are
//! there before its load is: a measured load would bring them late, and within its tolerance not
//! all of them. The Deployment then says no number, else the two would undo each other.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricSpec, MetricTarget,
    ResourceMetricSource,
};

use super::Inputs;

/// For how long a load has to be low before pods go: a sale that pauses has not ended.
const SCALE_DOWN_AFTER_SECONDS: i32 = 300;

pub(super) fn build(inputs: &Inputs<'_>) -> Option<HorizontalPodAutoscaler> {
    let wanted = inputs.flash_sale.spec.api.autoscaling.as_ref()?;
    // It does not scale from or to nothing: that needs a metric that is there without pods.
    let min_replicas = inputs.replicas.max(1);
    Some(HorizontalPodAutoscaler {
        metadata: inputs.metadata(),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: inputs.child_name(),
            },
            min_replicas: Some(min_replicas),
            max_replicas: wanted.max_replicas.max(min_replicas),
            metrics: Some(vec![MetricSpec {
                type_: "Resource".to_owned(),
                resource: Some(ResourceMetricSource {
                    name: "cpu".to_owned(),
                    target: MetricTarget {
                        type_: "Utilization".to_owned(),
                        average_utilization: Some(wanted.target_cpu_utilization_percentage),
                        ..MetricTarget::default()
                    },
                }),
                ..MetricSpec::default()
            }]),
            behavior: Some(HorizontalPodAutoscalerBehavior {
                // A rush lasts minutes: twice as many every 15 seconds, at least four more.
                scale_up: Some(HPAScalingRules {
                    stabilization_window_seconds: Some(0),
                    select_policy: Some("Max".to_owned()),
                    policies: Some(vec![policy("Percent", 100, 15), policy("Pods", 4, 15)]),
                    ..HPAScalingRules::default()
                }),
                // Pods cost less than a rush that finds too few of them.
                scale_down: Some(HPAScalingRules {
                    stabilization_window_seconds: Some(SCALE_DOWN_AFTER_SECONDS),
                    select_policy: Some("Max".to_owned()),
                    policies: Some(vec![policy("Percent", 25, 60), policy("Pods", 1, 60)]),
                    ..HPAScalingRules::default()
                }),
            }),
        }),
        ..HorizontalPodAutoscaler::default()
    })
}

fn policy(type_: &str, value: i32, period_seconds: i32) -> HPAScalingPolicy {
    HPAScalingPolicy {
        type_: type_.to_owned(),
        value,
        period_seconds,
    }
}
