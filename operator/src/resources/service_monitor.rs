//! The ServiceMonitor of the API pods, for a cluster with the Prometheus Operator.

use kube::ResourceExt;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::json;

use super::container::INTERNAL;
use super::inputs::Inputs;
use super::names::selector;

/// The kind, which not every cluster has.
pub fn service_monitor_kind() -> ApiResource {
    let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "ServiceMonitor");
    ApiResource::from_gvk_with_plural(&kind, "servicemonitors")
}

pub(super) fn build(inputs: &Inputs<'_>) -> Option<DynamicObject> {
    if !inputs.flash_sale.spec.api.service_monitor {
        return None;
    }
    let mut monitor = DynamicObject::new(&inputs.child_name(), &service_monitor_kind());
    monitor.metadata = inputs.metadata();
    monitor.data = json!({
        "spec": {
            "selector": {"matchLabels": selector(&inputs.flash_sale.name_any())},
            "endpoints": [{
                // A port of the pods, which the Service itself does not have.
                "targetPort": INTERNAL.name,
                "path": "/metrics",
                // The load of a sale changes within a minute.
                "interval": "15s",
            }],
        },
    });
    Some(monitor)
}
