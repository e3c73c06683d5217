//! A FlashSale from one file of YAML, with what it refers to.
//!
//! The file holds one FlashSale and, in documents of their own, the Secrets and ConfigMaps that
//! it refers to, as `kubectl apply` takes them. Reading is strict, as the API server is: a field
//! that the resource does not have is an error. Every error says the field and, where it can,
//! the line. The values of Secrets are never shown.

mod lines;

use std::fmt;

use flashsale_engine::catalog::Catalog;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{CustomResourceExt, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::{FlashSale, KeyRef};
use crate::driver::Goods;
use crate::settings::{CatalogChoice, FieldError, Settings, validate};
use crate::stores::StoreUrls;

/// A FlashSale that can be carried out, with what it refers to.
pub struct Manifest {
    /// The FlashSale.
    pub settings: Settings,
    /// What it sells.
    pub goods: Goods,
    /// Where its stores are.
    pub urls: StoreUrls,
}

/// URLs that come before those of the Secrets.
#[derive(Clone, Default)]
pub struct GivenUrls {
    /// Of Redis.
    pub redis: Option<String>,
    /// Of Postgres.
    pub postgres: Option<String>,
}

/// Everything that is wrong with a file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    faults: Vec<Fault>,
}

/// One thing that is wrong.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    line: Option<usize>,
    message: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.faults.iter().enumerate() {
            let new_line = if n == 0 { "" } else { "\n" };
            match fault.line {
                Some(line) => write!(f, "{new_line}line {line}: {}", fault.message)?,
                None => write!(f, "{new_line}{}", fault.message)?,
            }
        }
        Ok(())
    }
}

impl ManifestError {
    fn one(line: Option<usize>, message: impl Into<String>) -> Self {
        Self {
            faults: vec![Fault {
                line,
                message: message.into(),
            }],
        }
    }
}

/// Reads what a file holds.
pub fn read(bytes: &[u8], given: GivenUrls) -> Result<Manifest, ManifestError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let lines = bytes[..error.valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        ManifestError::one(
            Some(lines + 1),
            "found bytes that are not UTF-8; expected UTF-8 text",
        )
    })?;
    let documents = Documents::read(text)?;
    let start = documents.flash_sale_line;
    let at = |error: FieldError| {
        let line = lines::find(text, start, &error.path);
        Fault {
            line,
            message: error.to_string(),
        }
    };
    let settings = validate(&documents.flash_sale).map_err(|errors| ManifestError {
        faults: errors.into_iter().map(at).collect(),
    })?;

    let missing = |path: &str, kind: &str, reference: &KeyRef, or: &str| {
        let KeyRef { name, key } = reference;
        let fault = at(FieldError {
            path: path.to_owned(),
            found: format!("{kind} {name} with the key {key}"),
            expected: format!("it as another document in this file{or}"),
        });
        ManifestError {
            faults: vec![fault],
        }
    };
    let url = |given: Option<String>, path: &str, reference: &KeyRef, or: &str| {
        given
            .or_else(|| documents.secret(reference))
            .ok_or_else(|| missing(path, "Secret", reference, or))
    };
    let redis = url(
        given.redis,
        "spec.redis.secretKeyRef",
        &settings.redis,
        ", or --redis-url",
    )?;
    let postgres = url(
        given.postgres,
        "spec.postgres.secretKeyRef",
        &settings.postgres,
        ", or --postgres-url",
    )?;
    let goods = match &settings.catalog {
        CatalogChoice::Generate { count } => Goods::MadeUp(*count),
        CatalogChoice::ConfigMap(reference) => {
            let path = "spec.catalog.configMapRef";
            let csv = documents
                .config_map(reference)
                .ok_or_else(|| missing(path, "ConfigMap", reference, ""))?;
            let KeyRef { name, key } = reference;
            let catalog = Catalog::from_csv(csv).map_err(|error| {
                ManifestError::one(None, format!("ConfigMap {name}, key {key}: {error}"))
            })?;
            // The first sale shows whether the total fits.
            let window = settings.window(jiff::Timestamp::UNIX_EPOCH);
            settings
                .sale(window, catalog.len() as u32)
                .map_err(|error| ManifestError {
                    faults: vec![at(error)],
                })?;
            Goods::Listed(catalog)
        }
    };
    let urls = StoreUrls::new(&redis, &postgres)
        .map_err(|error| ManifestError::one(None, error.to_string()))?;
    Ok(Manifest {
        settings,
        goods,
        urls,
    })
}

/// The documents of a file.
struct Documents {
    flash_sale: FlashSale,
    flash_sale_line: usize,
    secrets: Vec<Secret>,
    config_maps: Vec<ConfigMap>,
}

impl Documents {
    fn read(text: &str) -> Result<Self, ManifestError> {
        let mut flash_sale = None;
        let (mut secrets, mut config_maps) = (Vec::new(), Vec::new());
        for (first_line, document) in lines::documents(text) {
            let value: Value = parse(document, first_line)?;
            if value.is_null() {
                continue;
            }
            let word = |field| {
                value
                    .get(field)
                    .and_then(Value::as_str)
                    .unwrap_or("nothing")
            };
            match (word("apiVersion"), word("kind")) {
                ("flashsale.dev/v1alpha1", "FlashSale") if flash_sale.is_none() => {
                    refuse_unknown_fields(&value, text, first_line)?;
                    flash_sale = Some((parse(document, first_line)?, first_line));
                }
                ("flashsale.dev/v1alpha1", "FlashSale") => {
                    let message = "found a second FlashSale; expected one in a file";
                    return Err(ManifestError::one(Some(first_line), message));
                }
                ("v1", "Secret") => secrets.push(parse(document, first_line)?),
                ("v1", "ConfigMap") => config_maps.push(parse(document, first_line)?),
                (version, kind) => {
                    let message = format!(
                        "found kind {kind} of apiVersion {version}; expected FlashSale of \
                         flashsale.dev/v1alpha1, or Secret or ConfigMap of v1"
                    );
                    return Err(ManifestError::one(Some(first_line), message));
                }
            }
        }
        let (flash_sale, flash_sale_line) = flash_sale.ok_or_else(|| {
            ManifestError::one(
                None,
                "found no FlashSale; expected one of apiVersion flashsale.dev/v1alpha1",
            )
        })?;
        Ok(Self {
            flash_sale,
            flash_sale_line,
            secrets,
            config_maps,
        })
    }

    fn namespace_is(&self, other: Option<String>) -> bool {
        let or_default =
            |namespace: Option<String>| namespace.unwrap_or_else(|| "default".to_owned());
        or_default(other) == or_default(self.flash_sale.namespace())
    }

    fn secret(&self, reference: &KeyRef) -> Option<String> {
        let secret = self.secrets.iter().find(|secret| {
            secret.name_any() == reference.name && self.namespace_is(secret.namespace())
        })?;
        let plain = secret
            .string_data
            .as_ref()
            .and_then(|data| data.get(&reference.key))
            .cloned();
        plain.or_else(|| {
            let bytes = secret.data.as_ref()?.get(&reference.key)?;
            String::from_utf8(bytes.0.clone()).ok()
        })
    }

    fn config_map(&self, reference: &KeyRef) -> Option<&[u8]> {
        let config_map = self.config_maps.iter().find(|config_map| {
            config_map.name_any() == reference.name && self.namespace_is(config_map.namespace())
        })?;
        let text = config_map
            .data
            .as_ref()
            .and_then(|data| data.get(&reference.key));
        text.map(String::as_bytes).or_else(|| {
            Some(
                config_map
                    .binary_data
                    .as_ref()?
                    .get(&reference.key)?
                    .0
                    .as_slice(),
            )
        })
    }
}

fn parse<T: DeserializeOwned>(document: &str, first_line: usize) -> Result<T, ManifestError> {
    let deserializer = serde_yaml_ng::Deserializer::from_str(document);
    T::deserialize(deserializer).map_err(|error| {
        let line = error
            .location()
            .map(|location| first_line + location.line() - 1);
        // The message counts lines from the start of the document; ours counts from the file's.
        let message = error.to_string();
        let message = message
            .split(" at line ")
            .next()
            .unwrap_or(&message)
            .to_owned();
        ManifestError::one(line, message)
    })
}

/// Refuses fields that the schema of the custom resource does not have.
fn refuse_unknown_fields(
    value: &Value,
    text: &str,
    first_line: usize,
) -> Result<(), ManifestError> {
    let crd = FlashSale::crd();
    let schema = crd
        .spec
        .versions
        .first()
        .and_then(|version| version.schema.as_ref());
    let schema = schema.and_then(|schema| schema.open_api_v3_schema.as_ref());
    let schema = serde_json::to_value(schema).unwrap_or_default();
    let mut faults = Vec::new();
    for part in ["spec", "status"] {
        let schema = &schema["properties"][part];
        if let Some(value) = value.get(part) {
            unknown_fields(schema, value, part, &mut |path, known| {
                let line = lines::find(text, first_line, path);
                faults.push(Fault {
                    line,
                    message: format!("{path}: found an unknown field; expected {known}"),
                });
            });
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(ManifestError { faults })
    }
}

fn unknown_fields(schema: &Value, value: &Value, path: &str, tell: &mut dyn FnMut(&str, String)) {
    match (value, &schema["properties"]) {
        (Value::Object(fields), Value::Object(known)) => {
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                match known.get(name) {
                    Some(schema) => unknown_fields(schema, value, &path, tell),
                    None => {
                        let names: Vec<&str> = known.keys().map(String::as_str).collect();
                        tell(&path, format!("one of {}", names.join(", ")));
                    }
                }
            }
        }
        (Value::Array(values), _) => {
            for (n, value) in values.iter().enumerate() {
                unknown_fields(&schema["items"], value, &format!("{path}[{n}]"), tell);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
