//! Step 1 of a reconciliation: resolves the references of a FlashSale, Secrets and a ConfigMap.

use std::collections::BTreeMap;

use flashsale_engine::Certificates;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, ResourceExt};

use super::client::{RequestError, request};
use super::watches::{Caches, find};
use crate::crd::{FlashSale, KeyRef};

/// The value of a reference, or in words what was found instead.
pub(super) type Resolved = Result<Vec<u8>, String>;

/// What the Secret of a backend holds.
pub(super) struct ResolvedBackend {
    /// The URL.
    pub(super) url: Resolved,
    /// The values of those [`Certificates::ENTRIES`] that it has beside the URL.
    pub(super) certificates: BTreeMap<String, Vec<u8>>,
}

/// The versions of a FlashSale's spec and of its references. While they stay the same, the
/// references need not be resolved again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReferenceVersions {
    generation: Option<i64>,
    redis: Option<String>,
    postgres: Option<String>,
    catalog: Option<String>,
}

impl ReferenceVersions {
    /// The versions in the caches.
    pub(super) fn of(flash_sale: &FlashSale, caches: &Caches) -> Self {
        let namespace = flash_sale.namespace().unwrap_or_default();
        let spec = &flash_sale.spec;
        let secret = |name: &str| find(&caches.secrets, &namespace, name)?.resource_version();
        let config_map = spec.catalog.config_map_ref.as_ref();
        Self {
            generation: flash_sale.metadata.generation,
            redis: secret(&spec.redis.secret_key_ref.name),
            postgres: secret(&spec.postgres.secret_key_ref.name),
            catalog: config_map.and_then(|reference| {
                find(&caches.config_maps, &namespace, &reference.name)?.resource_version()
            }),
        }
    }
}

/// The references of a FlashSale, as they are in the cluster now. Holds passwords, so it has no
/// `Debug` and is never shown.
pub(super) struct ResolvedReferences {
    /// Redis.
    pub(super) redis: ResolvedBackend,
    /// Postgres.
    pub(super) postgres: ResolvedBackend,
    /// The CSV, if the catalogue is one.
    pub(super) catalog: Option<Resolved>,
    /// Changes with the versions of the Secrets. A digest of the values would help to guess them.
    pub(super) secrets_revision: String,
}

/// Reads the references from the API server.
pub(super) async fn resolve(
    flash_sale: &FlashSale,
    client: &Client,
) -> Result<ResolvedReferences, RequestError> {
    let namespace = flash_sale.namespace().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let config_maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    let spec = &flash_sale.spec;

    let reference = &spec.redis.secret_key_ref;
    let redis_secret = request(secrets.get_opt(&reference.name)).await?;
    let redis = in_secret(redis_secret.as_ref(), reference);
    let reference = &spec.postgres.secret_key_ref;
    let postgres_secret = request(secrets.get_opt(&reference.name)).await?;
    let postgres = in_secret(postgres_secret.as_ref(), reference);
    let catalog = match &spec.catalog.config_map_ref {
        Some(reference) => {
            let found = request(config_maps.get_opt(&reference.name)).await?;
            Some(in_config_map(found.as_ref(), reference))
        }
        None => None,
    };
    let version = |secret: Option<Secret>| secret.and_then(|secret| secret.resource_version());
    let versions = [version(redis_secret), version(postgres_secret)].map(Option::unwrap_or_default);
    Ok(ResolvedReferences {
        redis,
        postgres,
        catalog,
        secrets_revision: versions.join("-"),
    })
}

fn in_secret(secret: Option<&Secret>, reference: &KeyRef) -> ResolvedBackend {
    let data = secret.and_then(|secret| secret.data.as_ref());
    let entry = |name: &str| Some((name.to_owned(), data?.get(name)?.0.clone()));
    ResolvedBackend {
        url: url_in_secret(secret, reference),
        certificates: Certificates::ENTRIES
            .into_iter()
            .filter_map(entry)
            .collect(),
    }
}

fn url_in_secret(secret: Option<&Secret>, reference: &KeyRef) -> Resolved {
    let data = secret.map(|secret| secret.data.as_ref());
    let value = |data: &BTreeMap<_, k8s_openapi::ByteString>| {
        data.get(&reference.key).map(|bytes| bytes.0.clone())
    };
    match data {
        None => Err(format!("no Secret {}", reference.name)),
        Some(data) => data
            .and_then(value)
            .ok_or_else(|| without("Secret", reference)),
    }
}

fn in_config_map(config_map: Option<&ConfigMap>, reference: &KeyRef) -> Resolved {
    let key = &reference.key;
    let Some(config_map) = config_map else {
        return Err(format!("no ConfigMap {}", reference.name));
    };
    let text = config_map.data.as_ref().and_then(|data| data.get(key));
    let bytes = config_map.binary_data.as_ref();
    let bytes = bytes.and_then(|data| data.get(key));
    text.map(|text| text.clone().into_bytes())
        .or_else(|| bytes.map(|bytes| bytes.0.clone()))
        .ok_or_else(|| without("ConfigMap", reference))
}

fn without(kind: &str, KeyRef { name, key }: &KeyRef) -> String {
    format!("{kind} {name} without the key {key}")
}
