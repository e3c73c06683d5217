//! Builders of the Kubernetes objects of one FlashSale: [`build`].
//!
//! Guarantees: the same inputs give the same objects, so that applying them again changes nothing.
//! Every object is complete for server-side apply, owned by the FlashSale, and holds no value of a
//! Secret. Fields of other field managers (the number of pods under an autoscaler, the address of a
//! Service) are left out, so that an apply does not take them over.

mod autoscaler;
mod certificates;
mod container;
mod deployment;
mod disruption_budget;
mod ingress;
mod inputs;
mod names;
mod network_policy;
mod service;
mod service_account;
mod service_monitor;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::DynamicObject;
use serde::Serialize;

pub use inputs::{Inputs, PodDefaults};
pub use names::{SECRETS_REVISION, child_name, labels, selector, selector_text};
pub use service_monitor::service_monitor_kind;

/// The desired objects of one FlashSale. An object that is `None` is deleted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resources {
    /// The identity of the pods.
    pub service_account: ServiceAccount,
    /// The API pods.
    pub deployment: Deployment,
    /// Their address.
    pub service: Service,
    /// How many pods may be evicted at once.
    pub disruption_budget: PodDisruptionBudget,
    /// Which connections the pods accept.
    pub network_policy: NetworkPolicy,
    /// Their number under load.
    pub autoscaler: Option<HorizontalPodAutoscaler>,
    /// Their address from outside.
    pub ingress: Option<Ingress>,
    /// Their metrics, for clusters that have the kind.
    pub service_monitor: Option<DynamicObject>,
}

/// Builds the desired objects of a FlashSale.
pub fn build(inputs: &Inputs<'_>) -> Resources {
    Resources {
        service_account: service_account::build(inputs),
        deployment: deployment::build(inputs),
        service: service::build(inputs),
        disruption_budget: disruption_budget::build(inputs),
        network_policy: network_policy::build(inputs),
        autoscaler: autoscaler::build(inputs),
        ingress: ingress::build(inputs),
        service_monitor: service_monitor::build(inputs),
    }
}

#[cfg(test)]
mod tests;
