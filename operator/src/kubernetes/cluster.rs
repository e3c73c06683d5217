//! What is seen of the cluster: copies of what the operator made, and the versions of what
//! FlashSales refer to, kept up to date by watches that also say when to look again.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures_util::{Stream, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::store::WriterDropped;
use kube::runtime::reflector::{ObjectRef, Store, reflector, store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::MANAGER;

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

/// Changes of objects, each of which asks for another look.
pub(super) type Changes<K> =
    std::pin::Pin<Box<dyn Stream<Item = Result<K, watcher::Error>> + Send>>;

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

/// What keeps [`Copies`] up to date while it is polled.
pub(super) struct Watches {
    pub(super) secrets: Changes<Meta<Secret>>,
    pub(super) config_maps: Changes<Meta<ConfigMap>>,
    pub(super) deployments: Changes<Deployment>,
    pub(super) autoscalers: Changes<HorizontalPodAutoscaler>,
    pub(super) services: Changes<Meta<Service>>,
    pub(super) service_accounts: Changes<Meta<ServiceAccount>>,
    pub(super) disruption_budgets: Changes<Meta<PodDisruptionBudget>>,
    pub(super) network_policies: Changes<Meta<NetworkPolicy>>,
    pub(super) ingresses: Changes<Meta<Ingress>>,
}

/// Begins to watch.
pub(super) fn watch(scope: &Scope) -> (Copies, Watches) {
    let all = watcher::Config::default();
    let ours =
        watcher::Config::default().labels(&format!("app.kubernetes.io/managed-by={MANAGER}"));
    let (secrets, of_secrets) = reflect(scope, &all);
    let (config_maps, of_config_maps) = reflect(scope, &all);
    let (deployments, of_deployments) = reflect(scope, &ours);
    let (autoscalers, of_autoscalers) = reflect(scope, &ours);
    let (services, of_services) = reflect(scope, &ours);
    let (service_accounts, of_service_accounts) = reflect(scope, &ours);
    let (disruption_budgets, of_disruption_budgets) = reflect(scope, &ours);
    let (network_policies, of_network_policies) = reflect(scope, &ours);
    let (ingresses, of_ingresses) = reflect(scope, &ours);
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
    let watches = Watches {
        secrets: of_secrets,
        config_maps: of_config_maps,
        deployments: of_deployments,
        autoscalers: of_autoscalers,
        services: of_services,
        service_accounts: of_service_accounts,
        disruption_budgets: of_disruption_budgets,
        network_policies: of_network_policies,
        ingresses: of_ingresses,
    };
    (copies, watches)
}

fn reflect<K>(scope: &Scope, config: &watcher::Config) -> (Store<K>, Changes<K>)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
{
    let (reader, writer) = store();
    let events = watcher(scope.api::<K>(), config.clone())
        .default_backoff()
        .modify(|object| {
            let meta = object.meta_mut();
            // There may be tens of thousands, and of these nothing is used.
            meta.managed_fields = None;
            meta.annotations = None;
            meta.labels = None;
        });
    (reader, reflector(writer, events).touched_objects().boxed())
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
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(&autoscaler.spec)
        .unwrap_or_default()
        .hash(&mut hasher);
    format!(
        "{}/{:x}",
        autoscaler.uid().unwrap_or_default(),
        hasher.finish()
    )
}
