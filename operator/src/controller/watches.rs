//! Watches: caches of the objects that the operator owns and that FlashSales refer to.
//!
//! Guarantees: a change of an owned object or of a reference triggers a reconciliation of the
//! FlashSale that it belongs to; no value of a Secret is cached.

use std::fmt::Debug;
use std::sync::Arc;

use futures_util::Stream;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::reflector::store::WriterDropped;
use kube::runtime::reflector::{ObjectRef, Store, reflector, store};
use kube::runtime::{Controller, WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::api_pods::applied_replicas;
use super::client::FIELD_MANAGER;
use super::drift::{ObjectVersions, autoscaler_version, version};
use crate::crd::{FlashSale, FlashSaleSpec};
use crate::resources::child_name;

/// A FlashSale, or an object that is none of this version.
pub(super) type Guarded = DeserializeGuard<FlashSale>;

/// The namespaces whose FlashSales are reconciled: one, or all.
#[derive(Clone)]
pub(super) struct Scope {
    client: Client,
    namespace: Option<String>,
}

impl Scope {
    pub(super) fn new(client: &Client, namespace: &str) -> Self {
        Self {
            client: client.clone(),
            namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        }
    }

    pub(super) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }
}

/// Only the metadata of these objects is watched, so that no value of a Secret is cached.
type Meta<K> = PartialObjectMeta<K>;

/// Caches of objects, kept up to date by watches.
pub(super) struct Caches {
    pub(super) secrets: Store<Meta<Secret>>,
    pub(super) config_maps: Store<Meta<ConfigMap>>,
    pub(super) deployments: Store<Deployment>,
    pub(super) autoscalers: Store<HorizontalPodAutoscaler>,
    pub(super) services: Store<Meta<Service>>,
    pub(super) service_accounts: Store<Meta<ServiceAccount>>,
    pub(super) disruption_budgets: Store<Meta<PodDisruptionBudget>>,
    pub(super) network_policies: Store<Meta<NetworkPolicy>>,
    pub(super) ingresses: Store<Meta<Ingress>>,
    /// Set when each has been listed once.
    listed: OnceCell<()>,
}

/// Adds watches to a controller: of the references of FlashSales and of the objects that they own.
pub(super) fn watch(
    scope: &Scope,
    controller: Controller<Guarded>,
) -> (Caches, Controller<Guarded>) {
    let flash_sales = controller.store();
    let (secrets, controller) = references(scope, controller, &flash_sales, uses_secret);
    let (config_maps, controller) = references(scope, controller, &flash_sales, uses_config_map);
    let (deployments, controller) = owned(scope, controller);
    let (autoscalers, controller) = owned(scope, controller);
    let (services, controller) = owned(scope, controller);
    let (service_accounts, controller) = owned(scope, controller);
    let (disruption_budgets, controller) = owned(scope, controller);
    let (network_policies, controller) = owned(scope, controller);
    let (ingresses, controller) = owned(scope, controller);
    let caches = Caches {
        secrets,
        config_maps,
        deployments,
        autoscalers,
        services,
        service_accounts,
        disruption_budgets,
        network_policies,
        ingresses,
        listed: OnceCell::new(),
    };
    (caches, controller)
}

/// An object that can be cached.
trait Cached:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + DeserializeOwned
    + Debug
    + Send
    + Sync
    + 'static
{
}

impl<K> Cached for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static
{
}

/// Watches objects that FlashSales refer to; `uses` is whether a spec refers to a name.
fn references<K: Cached>(
    scope: &Scope,
    controller: Controller<Guarded>,
    flash_sales: &Store<Guarded>,
    uses: fn(&FlashSaleSpec, &str) -> bool,
) -> (Store<K>, Controller<Guarded>) {
    let (cache, changes) = reflect(scope, watcher::Config::default());
    let flash_sales = flash_sales.clone();
    let users = move |object: K| {
        let (namespace, name) = (object.namespace(), object.name_any());
        let users = flash_sales.state_filter(|flash_sale: &Guarded| {
            let valid = flash_sale.0.as_ref();
            flash_sale.namespace() == namespace && valid.is_ok_and(|it| uses(&it.spec, &name))
        });
        let users = users.iter().map(|user| ObjectRef::from_obj(&**user));
        users.collect::<Vec<_>>()
    };
    (cache, controller.watches_stream(changes, users))
}

/// Watches objects that FlashSales own.
fn owned<K: Cached>(
    scope: &Scope,
    controller: Controller<Guarded>,
) -> (Store<K>, Controller<Guarded>) {
    let managed = format!("app.kubernetes.io/managed-by={FIELD_MANAGER}");
    let (cache, changes) = reflect(scope, watcher::Config::default().labels(&managed));
    (cache, controller.owns_stream(changes))
}

fn reflect<K: Cached>(
    scope: &Scope,
    config: watcher::Config,
) -> (
    Store<K>,
    impl Stream<Item = Result<K, watcher::Error>> + Send + 'static,
) {
    let (reader, writer) = store();
    let events = watcher(scope.api::<K>(), config)
        .default_backoff()
        .modify(|object| {
            let meta = object.meta_mut();
            // There may be tens of thousands of objects, and these fields are not used.
            meta.managed_fields = None;
            meta.annotations = None;
            meta.labels = None;
        });
    (reader, reflector(writer, events).touched_objects())
}

fn uses_secret(spec: &FlashSaleSpec, name: &str) -> bool {
    [&spec.redis, &spec.postgres]
        .iter()
        .any(|backend| backend.secret_key_ref.name == name)
}

fn uses_config_map(spec: &FlashSaleSpec, name: &str) -> bool {
    let reference = spec.catalog.config_map_ref.as_ref();
    reference.is_some_and(|reference| reference.name == name)
}

impl Caches {
    /// Waits until each cache was listed once. Any number of callers may wait; a kube-rs store wakes
    /// only one of its own.
    pub(super) async fn wait_until_listed(&self) -> Result<(), WriterDropped> {
        self.listed
            .get_or_try_init(|| self.await_lists())
            .await
            .copied()
    }

    async fn await_lists(&self) -> Result<(), WriterDropped> {
        self.secrets.wait_until_ready().await?;
        self.config_maps.wait_until_ready().await?;
        self.deployments.wait_until_ready().await?;
        self.autoscalers.wait_until_ready().await?;
        self.services.wait_until_ready().await?;
        self.service_accounts.wait_until_ready().await?;
        self.disruption_budgets.wait_until_ready().await?;
        self.network_policies.wait_until_ready().await?;
        self.ingresses.wait_until_ready().await
    }

    /// The versions of a FlashSale's objects, all of which have the same name.
    pub(super) fn versions(&self, flash_sale: &FlashSale) -> ObjectVersions {
        let namespace = flash_sale.namespace().unwrap_or_default();
        let name = child_name(&flash_sale.name_any());
        let (namespace, name) = (namespace.as_str(), name.as_str());
        ObjectVersions {
            deployment: find(&self.deployments, namespace, name).map(|found| version(&*found)),
            autoscaler: find(&self.autoscalers, namespace, name)
                .map(|found| autoscaler_version(&found)),
            service: find(&self.services, namespace, name).map(|found| version(&*found)),
            service_account: find(&self.service_accounts, namespace, name)
                .map(|found| version(&*found)),
            disruption_budget: find(&self.disruption_budgets, namespace, name)
                .map(|found| version(&*found)),
            network_policy: find(&self.network_policies, namespace, name)
                .map(|found| version(&*found)),
            ingress: find(&self.ingresses, namespace, name).map(|found| version(&*found)),
        }
    }
    /// The Deployment of a FlashSale's API pods.
    pub(super) fn deployment(&self, flash_sale: &FlashSale) -> Option<Arc<Deployment>> {
        let namespace = flash_sale.namespace().unwrap_or_default();
        let name = child_name(&flash_sale.name_any());
        find(&self.deployments, &namespace, &name)
    }

    /// The number of API pods that was applied last, by this process or by another one.
    pub(super) fn applied_replicas(&self, flash_sale: &FlashSale) -> Option<i32> {
        let namespace = flash_sale.namespace().unwrap_or_default();
        let name = child_name(&flash_sale.name_any());
        let autoscaler = find(&self.autoscalers, &namespace, &name);
        let minimum = autoscaler.and_then(|autoscaler| autoscaler.spec.as_ref()?.min_replicas);
        applied_replicas(self.deployment(flash_sale).as_deref(), minimum)
    }
}

/// The cached object.
pub(super) fn find<K>(store: &Store<K>, namespace: &str, name: &str) -> Option<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store.get(&ObjectRef::new(name).within(namespace))
}
