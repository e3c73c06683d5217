//! A namespace of an API server with backends of its own, and operators for it.

mod operator;
mod servers;

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use flashsale_engine::{FlashSaleName, SaleRecord};
use flashsale_operator::crd::{FlashSale, FlashSaleStatus, Phase};
use flashsale_servers::KubeApi;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use operator::Operator;
use servers::shared;
pub use servers::start_kubernetes;

use super::backends;

/// How long the Lease of an operator is good for here.
pub const LEASE_SECONDS: u64 = 3;

/// More than anything takes here, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A namespace with backends of its own.
pub struct World {
    pub namespace: &'static str,
    pub client: Client,
    pub redis: String,
    pub postgres: String,
    /// What operators reach the API server with: an administrator's, unless a test sets another.
    pub kubeconfig: PathBuf,
    folder: tempfile::TempDir,
}

impl World {
    /// On the shared servers, with the Secret `stores`. No other test has this namespace.
    pub async fn new(namespace: &'static str) -> Self {
        let world = Self::without_secret(namespace).await;
        world.put_secret(&world.redis, &world.postgres).await;
        world
    }

    pub async fn without_secret(namespace: &'static str) -> Self {
        let shared = tokio::task::spawn_blocking(shared).await.unwrap();
        Self::on(namespace, &shared.kubernetes).await
    }

    /// On this API server and the shared backends.
    pub async fn on(namespace: &'static str, kubernetes: &KubeApi) -> Self {
        // A second call in this process fails, and the first provider stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared = tokio::task::spawn_blocking(shared).await.unwrap();
        let kubeconfig = kubernetes.kubeconfig();
        let config = Kubeconfig::read_from(&kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(config, &options);
        let client = Client::try_from(config.await.unwrap()).unwrap();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let this = json!({"metadata": {"name": namespace}});
        let this = serde_json::from_value(this).unwrap();
        namespaces
            .create(&PostParams::default(), &this)
            .await
            .unwrap();
        let database = namespace.replace('-', "_");
        Self {
            namespace,
            client,
            redis: shared.redis.url(),
            postgres: shared.postgres.create_database(&database).unwrap(),
            kubeconfig,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub async fn put_secret(&self, redis: &str, postgres: &str) {
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "stores"},
            "stringData": {"redis": redis, "postgres": postgres},
        });
        self.apply::<Secret>("stores", secret).await;
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    /// As `kubectl apply` does.
    pub async fn apply<K>(&self, name: &str, object: impl Serialize + Debug) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let params = PatchParams::apply("a-test").force();
        let api = self.api::<K>();
        let object = Patch::Apply(object);
        api.patch(name, &params, &object).await.unwrap()
    }

    /// Changes a part of something, as `kubectl patch` does.
    pub async fn patch<K>(&self, name: &str, patch: Value)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let api = self.api::<K>();
        api.patch(name, &params, &patch).await.unwrap();
    }

    /// A FlashSale that sells 50 items on the backends in the Secret, with these further fields.
    pub async fn flash_sale(&self, name: &str, more: Value) -> FlashSale {
        let mut spec = json!({
            "catalog": {"generate": {"count": 50}},
            "redis": {"secretKeyRef": {"name": "stores", "key": "redis"}},
            "postgres": {"secretKeyRef": {"name": "stores", "key": "postgres"}},
        });
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let object = json!({
            "apiVersion": "flashsale.dev/v1alpha1",
            "kind": "FlashSale",
            "metadata": {"name": name},
            "spec": spec,
        });
        self.apply(name, object).await
    }

    pub async fn get<K>(&self, name: &str) -> Option<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        self.api::<K>().get_opt(name).await.unwrap()
    }

    /// Waits until something is there and as it should be.
    pub async fn await_that<K>(&self, what: &str, name: &str, is: impl Fn(&K) -> bool) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let as_it_should_be = |found: Option<K>| match found {
            Some(found) if is(&found) => Ok(found),
            other => Err(other),
        };
        self.await_object(what, name, as_it_should_be).await
    }

    pub async fn await_gone<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let gone = |found: Option<K>| found.map_or(Ok(()), |found| Err(Some(found)));
        self.await_object("it is gone", name, gone).await;
    }

    async fn await_object<K, T>(
        &self,
        what: &str,
        name: &str,
        take: impl Fn(Option<K>) -> Result<T, Option<K>>,
    ) -> T
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let begun = Instant::now();
        loop {
            match take(self.get(name).await) {
                Ok(taken) => return taken,
                Err(found) => assert!(
                    begun.elapsed() <= LIMIT,
                    "never: {what}; found {found:#?}\n{}",
                    self.logs()
                ),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A FlashSale with this name whose one sale is open, for an hour.
    pub async fn open_sale(&self, name: &str) {
        let more = json!({"startAt": soon(2), "duration": "1h"});
        self.flash_sale(name, more).await;
        self.await_status("it sells", name, |status| status.phase == Phase::Selling)
            .await;
    }

    /// Waits until the status of a FlashSale is as it should be.
    pub async fn await_status(
        &self,
        what: &str,
        name: &str,
        is: impl Fn(&FlashSaleStatus) -> bool,
    ) -> FlashSaleStatus {
        let found = self
            .await_that::<FlashSale>(what, name, |found| found.status.as_ref().is_some_and(&is));
        found.await.status.unwrap()
    }

    /// Waits until an event with this reason is published about a FlashSale, and returns its note.
    pub async fn await_event(&self, name: &str, reason: &str) -> String {
        let begun = Instant::now();
        loop {
            let events = self
                .api::<Event>()
                .list(&ListParams::default())
                .await
                .unwrap();
            let found = events.items.into_iter().find(|event| {
                event.reason.as_deref() == Some(reason)
                    && event
                        .regarding
                        .as_ref()
                        .is_some_and(|regarding| regarding.name.as_deref() == Some(name))
            });
            if let Some(event) = found {
                return event.note.unwrap_or_default();
            }
            assert!(
                begun.elapsed() < LIMIT,
                "no event {reason}\n{}",
                self.logs()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// An operator for this namespace, with a Lease so short that tests need not wait.
    pub fn operator(&self, identity: &str) -> Operator {
        self.operator_with(identity, LEASE_SECONDS)
    }

    pub fn operator_with(&self, identity: &str, lease_seconds: u64) -> Operator {
        let log = self.folder.path().join(format!("log-{identity}"));
        Operator::start(
            self.namespace,
            identity,
            lease_seconds,
            &self.kubeconfig,
            log,
        )
    }

    fn logs(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let file = entry.unwrap().path();
            let log = std::fs::read_to_string(&file).unwrap();
            let end: Vec<&str> = log.lines().rev().take(30).collect();
            text += &format!("the end of {}:\n", file.display());
            for line in end.iter().rev() {
                text += &format!("{line}\n");
            }
        }
        text
    }

    /// The sales of a FlashSale in Postgres.
    pub async fn records(&self, name: &str) -> Vec<SaleRecord> {
        let name = FlashSaleName::new(self.namespace, name).unwrap();
        backends::records(&self.redis, &self.postgres, &name).await
    }

    /// Whether Redis holds anything of a FlashSale.
    pub fn redis_holds(&self, name: &str) -> bool {
        let keys = backends::ask_redis(&self.redis, "KEYS *");
        keys.contains(&format!("{{{}.{name}", self.namespace))
    }
}

/// A condition of a status.
pub fn condition<'s>(status: &'s FlashSaleStatus, type_: &str) -> Option<&'s Condition> {
    status.conditions.iter().find(|found| found.type_ == type_)
}

pub fn is_true(status: &FlashSaleStatus, type_: &str) -> bool {
    condition(status, type_).is_some_and(|condition| condition.status == "True")
}

/// So many seconds from now, as `startAt` has it.
pub fn soon(seconds: i64) -> String {
    let at = Timestamp::now() + SignedDuration::from_secs(seconds);
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
