//! What is seen of the cluster: copies of what the operator made, and the versions of what
//! FlashSales refer to, kept up to date by watches that also say when to look again.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

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
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::MANAGER;
use crate::crd::{FlashSale, FlashSaleSpec};

/// A FlashSale, or what is none of this version.
pub(super) type Guarded = DeserializeGuard<FlashSale>;

/// Where FlashSales are looked after: one namespace, or all.
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

/// Of these only metadata is asked for: the values of Secrets are not kept here.
type Meta<K> = PartialObjectMeta<K>;

/// Copies of objects.
pub(super) struct Copies {
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

/// Has a controller watch what FlashSales refer to and what was made for them: it keeps the copies
/// up to date, and looks again at whoever a change concerns.
pub(super) fn watch(
    scope: &Scope,
    controller: Controller<Guarded>,
) -> (Copies, Controller<Guarded>) {
    let flash_sales = controller.store();
    let (secrets, controller) = referred(scope, controller, &flash_sales, uses_secret);
    let (config_maps, controller) = referred(scope, controller, &flash_sales, uses_config_map);
    let (deployments, controller) = owned(scope, controller);
    let (autoscalers, controller) = owned(scope, controller);
    let (services, controller) = owned(scope, controller);
    let (service_accounts, controller) = owned(scope, controller);
    let (disruption_budgets, controller) = owned(scope, controller);
    let (network_policies, controller) = owned(scope, controller);
    let (ingresses, controller) = owned(scope, controller);
    let copies = Copies {
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
    (copies, controller)
}

/// What can be copied.
trait Copied:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + DeserializeOwned
    + Debug
    + Send
    + Sync
    + 'static
{
}

impl<K> Copied for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static
{
}

/// Of what somebody else has made; `uses` tells which FlashSale refers to it by its name.
fn referred<K: Copied>(
    scope: &Scope,
    controller: Controller<Guarded>,
    flash_sales: &Store<Guarded>,
    uses: fn(&FlashSaleSpec, &str) -> bool,
) -> (Store<K>, Controller<Guarded>) {
    let (copies, changes) = reflect(scope, watcher::Config::default());
    let flash_sales = flash_sales.clone();
    let concerned = move |object: K| {
        let (namespace, name) = (object.namespace(), object.name_any());
        let concerned = flash_sales.state_filter(|flash_sale: &Guarded| {
            let valid = flash_sale.0.as_ref();
            flash_sale.namespace() == namespace && valid.is_ok_and(|it| uses(&it.spec, &name))
        });
        let references = concerned.iter().map(|found| ObjectRef::from_obj(&**found));
        references.collect::<Vec<_>>()
    };
    (copies, controller.watches_stream(changes, concerned))
}

/// Of what was made for FlashSales.
fn owned<K: Copied>(
    scope: &Scope,
    controller: Controller<Guarded>,
) -> (Store<K>, Controller<Guarded>) {
    let ours = format!("app.kubernetes.io/managed-by={MANAGER}");
    let (copies, changes) = reflect(scope, watcher::Config::default().labels(&ours));
    (copies, controller.owns_stream(changes))
}

fn reflect<K: Copied>(
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
            // There may be tens of thousands, and of these nothing is used.
            meta.managed_fields = None;
            meta.annotations = None;
            meta.labels = None;
        });
    (reader, reflector(writer, events).touched_objects())
}

fn uses_secret(spec: &FlashSaleSpec, name: &str) -> bool {
    [&spec.redis, &spec.postgres]
        .iter()
        .any(|store| store.secret_key_ref.name == name)
}

fn uses_config_map(spec: &FlashSaleSpec, name: &str) -> bool {
    let reference = spec.catalog.config_map_ref.as_ref();
    reference.is_some_and(|reference| reference.name == name)
}

impl Copies {
    /// Waits until each has been listed once. Any number may wait: a store itself wakes only one of
    /// those who wait for it.
    pub(super) async fn ready(&self) -> Result<(), WriterDropped> {
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

    /// What there is of a FlashSale's objects, all of which have the same name.
    pub(super) fn versions(&self, namespace: &str, name: &str) -> Versions {
        Versions {
            deployment: find(&self.deployments, namespace, name).map(|found| version(&*found)),
            autoscaler: find(&self.autoscalers, namespace, name).map(|found| of_spec(&found)),
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
}

/// The copy of an object.
pub(super) fn find<K>(store: &Store<K>, namespace: &str, name: &str) -> Option<std::sync::Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store.get(&ObjectRef::new(name).within(namespace))
}

/// The versions of a FlashSale's objects. They differ where one was changed or deleted, and stay
/// the same where only the status of one is new.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) deployment: Option<String>,
    pub(super) autoscaler: Option<String>,
    pub(super) service: Option<String>,
    pub(super) service_account: Option<String>,
    pub(super) disruption_budget: Option<String>,
    pub(super) network_policy: Option<String>,
    pub(super) ingress: Option<String>,
}

/// Changes with the object, but not with its status where the server tells them apart.
pub(super) fn version<K: Resource>(object: &K) -> String {
    let meta = object.meta();
    let version = match meta.generation {
        Some(generation) => generation.to_string(),
        None => object.resource_version().unwrap_or_default(),
    };
    format!("{}/{version}", object.uid().unwrap_or_default())
}

/// An autoscaler has no generation, and a status that changes all the time.
pub(super) fn of_spec(autoscaler: &HorizontalPodAutoscaler) -> String {
    let spec = digest(&autoscaler.spec);
    format!("{}/{spec:x}", autoscaler.uid().unwrap_or_default())
}

/// A number that changes with a value; for this process alone.
pub(super) fn digest(value: &impl Serialize) -> u64 {
    let mut hasher = DefaultHasher::new();
    // What Kubernetes is sent can be written as JSON.
    let text = serde_json::to_string(value).unwrap_or_default();
    text.hash(&mut hasher);
    hasher.finish()
}
