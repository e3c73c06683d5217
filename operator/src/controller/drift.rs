//! Drift: whether an applied object was changed or deleted by somebody else.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{Resource, ResourceExt};
use serde::Serialize;

/// The versions of a FlashSale's objects. A version changes when its object is changed or deleted,
/// and stays the same while only the status of the object changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ObjectVersions {
    pub(super) deployment: Option<String>,
    pub(super) autoscaler: Option<String>,
    pub(super) service: Option<String>,
    pub(super) service_account: Option<String>,
    pub(super) disruption_budget: Option<String>,
    pub(super) network_policy: Option<String>,
    pub(super) ingress: Option<String>,
}

/// The version of an object: its generation if it has one, which does not change with its status.
pub(super) fn version<K: Resource>(object: &K) -> String {
    let meta = object.meta();
    let version = match meta.generation {
        Some(generation) => generation.to_string(),
        None => object.resource_version().unwrap_or_default(),
    };
    format!("{}/{version}", object.uid().unwrap_or_default())
}

/// The version of an autoscaler, which has no generation, and a status that changes all the time.
pub(super) fn autoscaler_version(autoscaler: &HorizontalPodAutoscaler) -> String {
    let spec = digest(&autoscaler.spec);
    format!("{}/{spec:x}", autoscaler.uid().unwrap_or_default())
}

/// A digest of a value, comparable within this process.
pub(super) fn digest(value: &impl Serialize) -> u64 {
    let mut hasher = DefaultHasher::new();
    // Every object of Kubernetes can be written as JSON.
    let text = serde_json::to_string(value).unwrap_or_default();
    text.hash(&mut hasher);
    hasher.finish()
}
