//! Applies what a FlashSale's resources should be, and deletes what is not wanted any more.
//!
//! Never takes over what it has not made: an object of the same name that belongs to somebody else
//! is a fault that is told.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::cluster::{Versions, digest, of_spec, version};
use super::context::Context;
use super::{MANAGER, RequestError, request};
use crate::resources::{Resources, service_monitor_kind};

/// Owns the number of pods once an autoscaler moves it.
const SCALE_MANAGER: &str = "flashsale-operator-scale";

/// Why something was not applied.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    /// The name is taken.
    #[error(
        "found {kind} {name}, which belongs to somebody else; expected none: rename it, or the \
         FlashSale"
    )]
    Taken {
        /// What it is.
        kind: String,
        /// Its name.
        name: String,
    },
    /// It is of an earlier FlashSale of the same name, and Kubernetes is about to delete it.
    #[error("{kind} {name} is of an earlier FlashSale of this name, and about to be deleted")]
    Leftover {
        /// What it is.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The API server did not take it.
    #[error("{kind} {name}: {source}")]
    Request {
        /// What was asked about.
        kind: String,
        /// Its name.
        name: String,
        /// What came of it.
        source: RequestError,
    },
}

impl ApplyError {
    /// Whether it needs no one to do anything.
    pub(super) fn passes_by_itself(&self) -> bool {
        matches!(self, Self::Leftover { .. })
    }
}

/// What was applied last.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// A digest of it.
    wanted: u64,
    /// What the API server made of it.
    versions: Versions,
}

/// Makes the cluster have these resources, if it has not or if somebody changed them. Answers how
/// they are now.
pub(super) async fn apply(
    context: &Context,
    resources: &Resources,
    before: Option<&Applied>,
) -> Result<Option<Applied>, ApplyError> {
    let wanted = digest(resources);
    let namespace = resources.deployment.namespace().unwrap_or_default();
    let name = resources.deployment.name_any();
    let there = context.copies.versions(&namespace, &name);
    if before.is_some_and(|before| before.wanted == wanted && before.versions == there) {
        return Ok(None);
    }
    let applier = Applier {
        client: &context.client,
        namespace: &namespace,
        name: &name,
        owner: resources.deployment.owner_references().first(),
        first: before.is_none(),
    };
    let service_account = applier.put(&resources.service_account).await?;
    let network_policy = applier.put(&resources.network_policy).await?;
    let disruption_budget = applier.put(&resources.disruption_budget).await?;
    let service = applier.put(&resources.service).await?;
    let autoscaled = resources.autoscaler.as_ref();
    let minimum = autoscaled.map(|autoscaler| {
        let spec = autoscaler.spec.as_ref();
        spec.and_then(|spec| spec.min_replicas).unwrap_or(1)
    });
    if minimum.is_some() {
        applier.hand_over_replicas().await?;
    }
    let mut deployment = applier.put(&resources.deployment).await?;
    if let Some(minimum) = minimum
        && needs_pods(&deployment, minimum)
    {
        deployment = applier.scale(minimum).await?;
    }
    let autoscaler = match &resources.autoscaler {
        Some(autoscaler) => Some(applier.put(autoscaler).await?),
        None if there.autoscaler.is_some() => {
            applier.remove::<HorizontalPodAutoscaler>().await?;
            None
        }
        None => None,
    };
    let ingress = match &resources.ingress {
        Some(ingress) => Some(applier.put(ingress).await?),
        None if there.ingress.is_some() => {
            applier.remove::<Ingress>().await?;
            None
        }
        None => None,
    };
    if applier.has_service_monitors().await {
        applier.service_monitor(resources).await?;
    }
    Ok(Some(Applied {
        wanted,
        versions: Versions {
            deployment: Some(version(&deployment)),
            autoscaler: autoscaler.as_ref().map(of_spec),
            service: Some(version(&service)),
            service_account: Some(version(&service_account)),
            disruption_budget: Some(version(&disruption_budget)),
            network_policy: Some(version(&network_policy)),
            ingress: ingress.as_ref().map(version),
        },
    }))
}

struct Applier<'a> {
    client: &'a Client,
    namespace: &'a str,
    /// All of a FlashSale's objects have the same.
    name: &'a str,
    /// The FlashSale.
    owner: Option<&'a OwnerReference>,
    /// Nothing was applied yet by this process.
    first: bool,
}

impl Applier<'_> {
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

    async fn put<K>(&self, wanted: &K) -> Result<K, ApplyError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Serialize
            + DeserializeOwned
            + Clone
            + Debug,
    {
        let kind = K::kind(&()).into_owned();
        self.put_in(&self.api(), &kind, wanted).await
    }

    async fn put_in<K>(&self, api: &Api<K>, kind: &str, wanted: &K) -> Result<K, ApplyError>
    where
        K: Resource + Serialize + DeserializeOwned + Clone + Debug,
    {
        // Later it is ours, or the first time has failed.
        if self.first
            && let Some(found) = self.find(api, kind).await?
            && !self.is_owned(&found)
        {
            let (kind, name) = (kind.to_owned(), self.name.to_owned());
            return Err(match self.is_of_an_earlier_one(&found) {
                true => ApplyError::Leftover { kind, name },
                false => ApplyError::Taken { kind, name },
            });
        }
        let params = PatchParams::apply(MANAGER).force();
        request(api.patch(self.name, &params, &Patch::Apply(wanted)))
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
        owners.any(|owner| Some(&owner.uid) == self.owner.map(|ours| &ours.uid))
    }

    fn is_of_an_earlier_one(&self, found: &impl ResourceExt) -> bool {
        let same = |owner: &OwnerReference, ours: &OwnerReference| {
            (&owner.kind, &owner.name) == (&ours.kind, &ours.name)
        };
        let mut owners = found.owner_references().iter();
        owners.any(|owner| self.owner.is_some_and(|ours| same(owner, ours)))
    }

    async fn remove<K>(&self) -> Result<(), ApplyError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + DeserializeOwned
            + Clone
            + Debug,
    {
        self.remove_in::<K>(&self.api(), &K::kind(&())).await
    }

    async fn remove_in<K>(&self, api: &Api<K>, kind: &str) -> Result<(), ApplyError>
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

    /// Without this the number of pods, which the apply leaves out from now on, would belong to
    /// nobody for a moment, and the API server would set it to its default of one.
    async fn hand_over_replicas(&self) -> Result<(), ApplyError> {
        // Not the copy: what an autoscaler has set a moment ago must not be undone.
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

    /// Sets the number of pods, as somebody whom an autoscaler may overrule.
    async fn scale(&self, replicas: i32) -> Result<Deployment, ApplyError> {
        let patch = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self.name},
            "spec": {"replicas": replicas},
        });
        let (api, patch) = (self.api::<Deployment>(), Patch::Apply(patch));
        let params = PatchParams::apply(SCALE_MANAGER).force();
        request(api.patch(self.name, &params, &patch))
            .await
            .map_err(|error| self.failed("Deployment", error))
    }

    /// Asked every time: the Prometheus Operator may come after this one, and go before it.
    async fn has_service_monitors(&self) -> bool {
        let kind = service_monitor_kind();
        match request(self.client.list_api_group_resources(&kind.api_version)).await {
            Ok(list) => list.resources.iter().any(|found| found.kind == kind.kind),
            Err(error) => {
                if !error.is_not_found() {
                    // Nothing that sells depends on it.
                    tracing::warn!(%error, "whether there are ServiceMonitors is not known; none is made");
                }
                false
            }
        }
    }

    async fn service_monitor(&self, resources: &Resources) -> Result<(), ApplyError> {
        let kind: ApiResource = service_monitor_kind();
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), self.namespace, &kind);
        match &resources.service_monitor {
            Some(monitor) => self.put_in(&api, &kind.kind, monitor).await.map(drop),
            None => self.remove_in(&api, &kind.kind).await,
        }
    }
}

fn replicas(deployment: &Deployment) -> Option<i32> {
    deployment.spec.as_ref().and_then(|spec| spec.replicas)
}

/// Whether an autoscaler would leave it with too few pods: one without any is none that it touches,
/// and a new one gets its second pod when the autoscaler looks, a quarter of a minute later.
fn needs_pods(deployment: &Deployment, minimum: i32) -> bool {
    let is_new = deployment.metadata.generation == Some(1);
    replicas(deployment).is_some_and(|now| now == 0 || (is_new && now < minimum))
}

/// Whether the number of pods is one that we have applied.
fn owns_replicas(deployment: &Deployment) -> bool {
    deployment.managed_fields().iter().any(|entry| {
        entry.manager.as_deref() == Some(MANAGER)
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
            && entry
                .fields_v1
                .as_ref()
                .is_some_and(|fields| fields.0.pointer("/f:spec/f:replicas").is_some())
    })
}
