//! Step 4 of a reconciliation: applies the objects of a FlashSale, and deletes those that are not
//! desired any more.
//!
//! Guarantees: server-side apply with one field manager; no request while the desired state is the
//! same and nothing has drifted; an object of the same name that has another owner is an error, and
//! is never changed.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::client::{FIELD_MANAGER, RequestError, request};
use super::drift::{ObjectVersions, autoscaler_version, digest, version};
use crate::resources::{Resources, service_monitor_kind};

/// The field manager of the number of pods while an autoscaler changes it.
const SCALE_FIELD_MANAGER: &str = "flashsale-operator-scale";

/// Why an object was not applied.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    /// The name is taken.
    #[error(
        "found {kind} {name}, which belongs to somebody else; expected none: rename it, or the \
         FlashSale"
    )]
    Taken {
        /// The kind of the object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The object belongs to an earlier FlashSale of the same name, and is being garbage-collected.
    #[error("{kind} {name} is of an earlier FlashSale of this name, and about to be deleted")]
    OfEarlierOwner {
        /// The kind of the object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// A request failed.
    #[error("{kind} {name}: {source}")]
    Request {
        /// The kind of the object.
        kind: String,
        /// Its name.
        name: String,
        /// The error.
        source: RequestError,
    },
}

impl ApplyError {
    /// Whether a retry succeeds without a change by somebody.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::OfEarlierOwner { .. })
    }
}

/// What was applied last.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// A digest of the desired objects.
    desired: u64,
    /// The versions of the objects after the apply.
    versions: ObjectVersions,
}

/// Applies the desired objects, unless they were applied `before` and the `observed` versions show
/// no drift. Returns what was applied.
pub(super) async fn apply(
    client: &Client,
    resources: &Resources,
    observed: &ObjectVersions,
    before: Option<&Applied>,
) -> Result<Option<Applied>, ApplyError> {
    let desired = digest(resources);
    if before.is_some_and(|before| before.desired == desired && before.versions == *observed) {
        return Ok(None);
    }
    let applier = Applier {
        client,
        namespace: &resources.deployment.namespace().unwrap_or_default(),
        name: &resources.deployment.name_any(),
        owner: resources.deployment.owner_references().first(),
        is_first: before.is_none(),
    };
    let versions = applier.apply_all(resources, observed).await?;
    Ok(Some(Applied { desired, versions }))
}

struct Applier<'a> {
    client: &'a Client,
    namespace: &'a str,
    /// All objects of a FlashSale have the same name.
    name: &'a str,
    /// The FlashSale.
    owner: Option<&'a OwnerReference>,
    /// Whether this process has applied nothing yet.
    is_first: bool,
}

impl Applier<'_> {
    async fn apply_all(
        &self,
        resources: &Resources,
        observed: &ObjectVersions,
    ) -> Result<ObjectVersions, ApplyError> {
        let service_account = self.apply(&resources.service_account).await?;
        let network_policy = self.apply(&resources.network_policy).await?;
        let disruption_budget = self.apply(&resources.disruption_budget).await?;
        let service = self.apply(&resources.service).await?;
        let deployment = self.apply_deployment(resources).await?;
        let autoscaler = resources.autoscaler.as_ref();
        let autoscaler = self.apply_or_delete(autoscaler, observed.autoscaler.is_some());
        let autoscaler = autoscaler.await?;
        let ingress = resources.ingress.as_ref();
        let ingress = self.apply_or_delete(ingress, observed.ingress.is_some());
        let ingress = ingress.await?;
        if self.has_service_monitors().await {
            self.apply_service_monitor(resources).await?;
        }
        Ok(ObjectVersions {
            deployment: Some(version(&deployment)),
            autoscaler: autoscaler.as_ref().map(autoscaler_version),
            service: Some(version(&service)),
            service_account: Some(version(&service_account)),
            disruption_budget: Some(version(&disruption_budget)),
            network_policy: Some(version(&network_policy)),
            ingress: ingress.as_ref().map(version),
        })
    }

    async fn apply_deployment(&self, resources: &Resources) -> Result<Deployment, ApplyError> {
        let autoscaler = resources.autoscaler.as_ref();
        let minimum = autoscaler.map(|autoscaler| {
            let spec = autoscaler.spec.as_ref();
            spec.and_then(|spec| spec.min_replicas).unwrap_or(1)
        });
        if minimum.is_some() {
            self.hand_over_replicas().await?;
        }
        let deployment = self.apply(&resources.deployment).await?;
        match minimum {
            Some(minimum) if needs_pods(&deployment, minimum) => self.scale(minimum).await,
            _ => Ok(deployment),
        }
    }

    async fn apply_or_delete<K>(
        &self,
        desired: Option<&K>,
        is_observed: bool,
    ) -> Result<Option<K>, ApplyError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Serialize
            + DeserializeOwned
            + Clone
            + Debug,
    {
        match desired {
            Some(desired) => self.apply(desired).await.map(Some),
            None if is_observed => {
                self.delete_in::<K>(&self.api(), &K::kind(&())).await?;
                Ok(None)
            }
            None => Ok(None),
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    fn failed(&self, kind: &str, source: RequestError) -> ApplyError {
        ApplyError::Request {
            kind: kind.to_owned(),
            name: self.name.to_owned(),
            source,
        }
    }

    async fn apply<K>(&self, desired: &K) -> Result<K, ApplyError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Serialize
            + DeserializeOwned
            + Clone
            + Debug,
    {
        let kind = K::kind(&()).into_owned();
        self.apply_in(&self.api(), &kind, desired).await
    }

    async fn apply_in<K>(&self, api: &Api<K>, kind: &str, desired: &K) -> Result<K, ApplyError>
    where
        K: Resource + Serialize + DeserializeOwned + Clone + Debug,
    {
        // After the first apply the object is owned, or the first apply has failed.
        if self.is_first
            && let Some(found) = self.find(api, kind).await?
            && !self.is_owned(&found)
        {
            let (kind, name) = (kind.to_owned(), self.name.to_owned());
            return Err(match self.is_of_earlier_owner(&found) {
                true => ApplyError::OfEarlierOwner { kind, name },
                false => ApplyError::Taken { kind, name },
            });
        }
        let params = PatchParams::apply(FIELD_MANAGER).force();
        request(api.patch(self.name, &params, &Patch::Apply(desired)))
            .await
            .map_err(|error| self.failed(kind, error))
    }

    async fn find<K>(
        &self,
        api: &Api<K>,
        kind: &str,
    ) -> Result<Option<PartialObjectMeta<K>>, ApplyError>
    where
        K: Resource + DeserializeOwned + Clone + Debug,
    {
        request(api.get_metadata_opt(self.name))
            .await
            .map_err(|error| self.failed(kind, error))
    }

    fn is_owned(&self, found: &impl ResourceExt) -> bool {
        let mut owners = found.owner_references().iter();
        owners.any(|owner| Some(&owner.uid) == self.owner.map(|owner| &owner.uid))
    }

    fn is_of_earlier_owner(&self, found: &impl ResourceExt) -> bool {
        let is_namesake = |owner: &OwnerReference, other: &OwnerReference| {
            (&owner.kind, &owner.name) == (&other.kind, &other.name)
        };
        let mut owners = found.owner_references().iter();
        owners.any(|other| self.owner.is_some_and(|owner| is_namesake(owner, other)))
    }

    async fn delete_in<K>(&self, api: &Api<K>, kind: &str) -> Result<(), ApplyError>
    where
        K: Resource + DeserializeOwned + Clone + Debug,
    {
        let found = self.find(api, kind).await?;
        let Some(found) = found.filter(|found| self.is_owned(found)) else {
            return Ok(());
        };
        let params = DeleteParams::background().preconditions(Preconditions {
            uid: found.uid(),
            resource_version: None,
        });
        match request(api.delete(self.name, &params)).await {
            Err(error) if !error.is_not_found() => Err(self.failed(kind, error)),
            _ => Ok(()),
        }
    }

    /// Moves the number of pods to the other field manager. Without this no manager would own the
    /// number after an apply that leaves it out, and the API server would set its default of one.
    async fn hand_over_replicas(&self) -> Result<(), ApplyError> {
        // Not from the cache: the number that an autoscaler has just set must stay.
        let live = request(self.api::<Deployment>().get_opt(self.name))
            .await
            .map_err(|error| self.failed("Deployment", error))?;
        match live {
            Some(live) if owns_replicas(&live) => {
                self.scale(replicas(&live).unwrap_or(1)).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Sets the number of pods with the field manager that an autoscaler may overrule.
    async fn scale(&self, replicas: i32) -> Result<Deployment, ApplyError> {
        let patch = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self.name},
            "spec": {"replicas": replicas},
        });
        let (api, patch) = (self.api::<Deployment>(), Patch::Apply(patch));
        let params = PatchParams::apply(SCALE_FIELD_MANAGER).force();
        request(api.patch(self.name, &params, &patch))
            .await
            .map_err(|error| self.failed("Deployment", error))
    }

    /// Requested every time: the Prometheus Operator may be installed and uninstalled meanwhile.
    async fn has_service_monitors(&self) -> bool {
        let kind = service_monitor_kind();
        match request(self.client.list_api_group_resources(&kind.api_version)).await {
            Ok(list) => list.resources.iter().any(|found| found.kind == kind.kind),
            Err(error) => {
                if !error.is_not_found() {
                    // No sale depends on a ServiceMonitor.
                    tracing::warn!(%error, "cannot list kinds; no ServiceMonitor is applied");
                }
                false
            }
        }
    }

    async fn apply_service_monitor(&self, resources: &Resources) -> Result<(), ApplyError> {
        let kind: ApiResource = service_monitor_kind();
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), self.namespace, &kind);
        match &resources.service_monitor {
            Some(monitor) => self.apply_in(&api, &kind.kind, monitor).await.map(drop),
            None => self.delete_in(&api, &kind.kind).await,
        }
    }
}

fn replicas(deployment: &Deployment) -> Option<i32> {
    deployment.spec.as_ref().and_then(|spec| spec.replicas)
}

/// Whether an autoscaler would leave the Deployment with too few pods: it ignores a Deployment
/// without pods, and scales a new one only at its next sync, 15 seconds later.
fn needs_pods(deployment: &Deployment, minimum: i32) -> bool {
    let is_new = deployment.metadata.generation == Some(1);
    replicas(deployment).is_some_and(|now| now == 0 || (is_new && now < minimum))
}

/// Whether the operator has applied the number of pods.
fn owns_replicas(deployment: &Deployment) -> bool {
    deployment.managed_fields().iter().any(|entry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER)
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
            && entry
                .fields_v1
                .as_ref()
                .is_some_and(|fields| fields.0.pointer("/f:spec/f:replicas").is_some())
    })
}
