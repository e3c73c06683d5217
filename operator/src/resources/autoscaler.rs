//! The HorizontalPodAutoscaler of the API pods.
//!
//! The operator changes the minimum before and after a sale, so that the pods of a sale are ready
//! before its load: a measured load adds them late, and within its tolerance not all of them. The
//! Deployment then has no `replicas`, because the operator and the autoscaler would undo each
//! other's number.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricSpec, MetricTarget,
    ResourceMetricSource,
};

use super::inputs::Inputs;

/// How long the load must be low before pods are removed: a pause is not the end of a sale.
const SCALE_DOWN_AFTER_SECONDS: i32 = 300;

pub(super) fn build(inputs: &Inputs<'_>) -> Option<HorizontalPodAutoscaler> {
    let autoscaling = inputs.flash_sale.spec.api.autoscaling.as_ref()?;
    // An autoscaler does not scale from or to zero: that needs a metric that exists without pods.
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
            max_replicas: autoscaling.max_replicas.max(min_replicas),
            metrics: Some(vec![MetricSpec {
                type_: "Resource".to_owned(),
                resource: Some(ResourceMetricSource {
                    name: "cpu".to_owned(),
                    target: MetricTarget {
                        type_: "Utilization".to_owned(),
                        average_utilization: Some(autoscaling.target_cpu_utilization_percentage),
                        ..MetricTarget::default()
                    },
                }),
                ..MetricSpec::default()
            }]),
            behavior: Some(HorizontalPodAutoscalerBehavior {
                // The peak load lasts minutes: the number doubles every 15 seconds, by at least four.
                scale_up: Some(HPAScalingRules {
                    stabilization_window_seconds: Some(0),
                    select_policy: Some("Max".to_owned()),
                    policies: Some(vec![policy("Percent", 100, 15), policy("Pods", 4, 15)]),
                    ..HPAScalingRules::default()
                }),
                // Spare pods cost less than too few pods at the peak load.
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
