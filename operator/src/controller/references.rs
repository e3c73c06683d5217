//! Fetches what a FlashSale refers to: Secrets and a ConfigMap.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, ResourceExt};

use super::{RequestError, request};
use crate::crd::{FlashSale, KeyRef};

/// What was found where a reference leads: the value, or in words what there is instead.
pub(super) type Found = Result<Vec<u8>, String>;

/// What a FlashSale refers to, as it is in the cluster now. Holds passwords: it is never shown.
pub(super) struct Referred {
    /// The URL of Redis.
    pub(super) redis: Found,
    /// The URL of Postgres.
    pub(super) postgres: Found,
    /// The CSV, where the catalogue is one.
    pub(super) catalog: Option<Found>,
    /// Another text for each version of the Secrets. It tells nothing about what they hold, as a
    /// digest would to who can guess.
    pub(super) revision: String,
}

/// Reads it all.
pub(super) async fn fetch(
    client: &Client,
    flash_sale: &FlashSale,
) -> Result<Referred, RequestError> {
    let namespace = flash_sale.namespace().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let config_maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    let spec = &flash_sale.spec;

    let reference = &spec.redis.secret_key_ref;
    let of_redis = request(secrets.get_opt(&reference.name)).await?;
    let redis = in_secret(of_redis.as_ref(), reference);
    let reference = &spec.postgres.secret_key_ref;
    let of_postgres = request(secrets.get_opt(&reference.name)).await?;
    let postgres = in_secret(of_postgres.as_ref(), reference);
    let catalog = match &spec.catalog.config_map_ref {
        Some(reference) => {
            let found = request(config_maps.get_opt(&reference.name)).await?;
            Some(in_config_map(found.as_ref(), reference))
        }
        None => None,
    };
    let version = |secret: Option<Secret>| secret.and_then(|secret| secret.resource_version());
    let versions = [version(of_redis), version(of_postgres)].map(Option::unwrap_or_default);
    Ok(Referred {
        redis,
        postgres,
        catalog,
        revision: versions.join("-"),
    })
}

fn in_secret(secret: Option<&Secret>, reference: &KeyRef) -> Found {
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

fn in_config_map(config_map: Option<&ConfigMap>, reference: &KeyRef) -> Found {
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
