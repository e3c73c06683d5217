//! The inputs of the builders, and what all objects have in common.

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

use super::names::{child_name, labels, selector};
use crate::crd::FlashSale;

/// The operator's defaults for all API pods.
#[derive(Debug, Clone, PartialEq)]
pub struct PodDefaults {
    /// The image with /usr/local/bin/flashsale-api.
    pub image: String,
    /// Always, IfNotPresent or Never.
    pub image_pull_policy: String,
    /// Names of the Secrets with which the image is pulled.
    pub image_pull_secrets: Vec<String>,
    /// The resources of each pod, unless the FlashSale sets them.
    pub resources: ResourceRequirements,
}

/// The inputs of the builders.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// The FlashSale from the cluster, with namespace, name and uid. Without a uid no object would be
    /// owned, and none garbage-collected with the FlashSale.
    pub flash_sale: &'a FlashSale,
    /// The operator's defaults.
    pub defaults: &'a PodDefaults,
    /// The desired number of pods; the minimum, if there is an autoscaler.
    pub replicas: i32,
    /// The revision of the Secrets. Pods are replaced when it changes.
    pub revision: String,
}

impl Inputs<'_> {
    /// The name that all objects of the FlashSale have.
    pub(super) fn child_name(&self) -> String {
        child_name(&self.flash_sale.name_any())
    }

    /// What all objects of the FlashSale have in common.
    pub(super) fn metadata(&self) -> ObjectMeta {
        let owner = self.flash_sale.controller_owner_ref(&());
        ObjectMeta {
            name: Some(self.child_name()),
            namespace: self.flash_sale.namespace(),
            labels: Some(labels(&self.flash_sale.name_any())),
            owner_references: owner.map(|owner| {
                vec![OwnerReference {
                    // A foreground deletion of the FlashSale waits for its pods.
                    block_owner_deletion: Some(true),
                    ..owner
                }]
            }),
            ..ObjectMeta::default()
        }
    }

    /// The pods of the FlashSale.
    pub(super) fn selector(&self) -> LabelSelector {
        LabelSelector {
            match_labels: Some(selector(&self.flash_sale.name_any())),
            ..LabelSelector::default()
        }
    }
}
