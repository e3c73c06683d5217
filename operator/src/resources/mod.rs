//! What the operator makes in Kubernetes for one FlashSale: [`build`].
//!
//! Pure: the same inputs give the same objects, so that applying them again changes nothing.
//! Every object is complete for server-side apply, owned by the FlashSale, and holds no value of
//! a Secret. What the operator leaves to others (the number of pods to an autoscaler, an address
//! to a Service) is not in it, so that applying takes it from nobody.

mod autoscaler;
mod container;
mod deployment;
mod disruption_budget;
mod ingress;
mod names;
mod network_policy;
mod service;
mod service_account;
mod service_monitor;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ResourceRequirements, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::api::DynamicObject;
use kube::{Resource, ResourceExt};
use serde::Serialize;

use crate::crd::FlashSale;
pub use names::{child_name, labels, selector, selector_text};
pub use service_monitor::service_monitor_kind;

/// The annotation of pods with the revision of the Secrets that they were started with.
pub const STORES_REVISION: &str = "flashsale.dev/stores-revision";

/// What the operator is configured with for all API pods.
#[derive(Debug, Clone, PartialEq)]
pub struct PodDefaults {
    /// The image with /usr/local/bin/flashsale-api.
    pub image: String,
    /// Always, IfNotPresent or Never.
    pub image_pull_policy: String,
    /// Names of the Secrets with which the image is pulled.
    pub image_pull_secrets: Vec<String>,
    /// What each pod requests and may use, unless the FlashSale says otherwise.
    pub resources: ResourceRequirements,
}

/// What the objects of one FlashSale depend on.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// As it is in the cluster: with namespace, name and uid. Without a uid nothing would be
    /// owned, and nothing of it would end with the FlashSale.
    pub flash_sale: &'a FlashSale,
    /// What the operator is configured with.
    pub defaults: &'a PodDefaults,
    /// Pods that are wanted now; under an autoscaler the fewest.
    pub replicas: i32,
    /// Of the Secrets that are referred to: pods are replaced when it changes.
    pub revision: String,
}

/// All objects of one FlashSale. What is `None` is not wanted, and to be deleted where it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resources {
    /// Whom the pods run as.
    pub service_account: ServiceAccount,
    /// The API pods.
    pub deployment: Deployment,
    /// Their address.
    pub service: Service,
    /// How many of them may be taken away at once.
    pub disruption_budget: PodDisruptionBudget,
    /// Who may reach them.
    pub network_policy: NetworkPolicy,
    /// Their number under load.
    pub autoscaler: Option<HorizontalPodAutoscaler>,
    /// Their address from outside.
    pub ingress: Option<Ingress>,
    /// Their metrics, for clusters that have the kind.
    pub service_monitor: Option<DynamicObject>,
}

/// Everything that there should be for a FlashSale.
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

impl Inputs<'_> {
    /// The name that all objects of the FlashSale have.
    fn child_name(&self) -> String {
        child_name(&self.flash_sale.name_any())
    }

    /// What all objects of the FlashSale have in common.
    fn metadata(&self) -> ObjectMeta {
        let owner = self.flash_sale.controller_owner_ref(&());
        ObjectMeta {
            name: Some(self.child_name()),
            namespace: self.flash_sale.namespace(),
            labels: Some(labels(&self.flash_sale.name_any())),
            owner_references: owner.map(|owner| {
                vec![OwnerReference {
                    // Whoever waits for the FlashSale to be gone waits for its pods, too.
                    block_owner_deletion: Some(true),
                    ..owner
                }]
            }),
            ..ObjectMeta::default()
        }
    }

    /// The pods of the FlashSale.
    fn selector(&self) -> LabelSelector {
        LabelSelector {
            match_labels: Some(selector(&self.flash_sale.name_any())),
            ..LabelSelector::default()
        }
    }
}

#[cfg(test)]
mod tests;
