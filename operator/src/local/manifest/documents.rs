//! The documents of a file: one FlashSale, and its Secrets and ConfigMaps.

use std::borrow::Cow;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde::Deserialize;
use serde_json::Value;

use super::error::{Fault, ManifestError};
use super::lines::{self, Document};
use super::schema::{self, UNKNOWN};
use crate::crd::KeyRef;
use crate::planner::FieldError;

/// The documents of a file.
pub(super) struct Documents<'a> {
    /// The FlashSale.
    pub(super) flash_sale: Parsed<'a>,
    /// Errors of the FlashSale against its schema.
    pub(super) errors: Vec<FieldError>,
    others: Vec<Parsed<'a>>,
}

/// A document that was parsed.
pub(super) struct Parsed<'a> {
    kind: Kind,
    document: Document<'a>,
    /// Its value, without fields that have none.
    pub(super) value: Value,
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    FlashSale,
    Secret,
    ConfigMap,
}

impl Kind {
    fn of(value: &Value) -> Result<Self, String> {
        let word = |field| value[field].as_str().unwrap_or("nothing");
        match (word("apiVersion"), word("kind")) {
            ("flashsale.dev/v1alpha1", "FlashSale") => Ok(Self::FlashSale),
            ("v1", "Secret") => Ok(Self::Secret),
            ("v1", "ConfigMap") => Ok(Self::ConfigMap),
            (version, kind) => Err(format!(
                "found kind {kind} of apiVersion {version}; expected FlashSale of \
                 flashsale.dev/v1alpha1, or Secret or ConfigMap of v1"
            )),
        }
    }

    fn schema(self) -> Value {
        match self {
            Self::FlashSale => schema::flash_sale(),
            Self::Secret => schema::of::<Secret>(),
            Self::ConfigMap => schema::of::<ConfigMap>(),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::FlashSale => "FlashSale",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

/// Why a reference cannot be resolved: what was found, and what was expected.
pub(super) type Missing = (String, String);

impl<'a> Documents<'a> {
    /// Reads all documents, also after an error in one of them, so that all errors are found.
    pub(super) fn read(text: &'a str) -> Result<(Self, Vec<Fault>), ManifestError> {
        let mut flash_sale = None;
        let mut others: Vec<Parsed<'a>> = Vec::new();
        let mut faults = Vec::new();
        for document in lines::documents(text) {
            let value = schema::without_nulls(parse(document)?);
            if value.is_null() {
                continue;
            }
            let kind = Kind::of(&value)
                .map_err(|message| ManifestError::one(Some(document.first()), message))?;
            let found = Parsed {
                kind,
                document,
                value,
            };
            let errors = schema::check(&kind.schema(), &found.value, kind == Kind::Secret);
            if kind != Kind::FlashSale {
                faults.extend(errors.into_iter().map(|error| found.fault_of(error)));
                if others.iter().any(|other| other.is_same(&found)) {
                    let message = format!("found {} again; expected it once", found.title());
                    faults.push(found.fault(message));
                }
                others.push(found);
            } else if flash_sale.is_none() {
                flash_sale = Some((found, errors));
            } else {
                let message = "found a second FlashSale; expected one in a file".to_owned();
                faults.push(found.fault(message));
            }
        }
        match flash_sale {
            Some((flash_sale, errors)) => {
                let documents = Self {
                    flash_sale,
                    errors,
                    others,
                };
                Ok((documents, faults))
            }
            None => {
                faults.push(Fault {
                    line: None,
                    message:
                        "found no FlashSale; expected one of apiVersion flashsale.dev/v1alpha1"
                            .to_owned(),
                });
                Err(ManifestError { faults })
            }
        }
    }

    /// The text under a key of a Secret.
    pub(super) fn secret(&self, reference: &KeyRef) -> Result<Cow<'_, str>, Missing> {
        let secret = self.find(Kind::Secret, reference)?;
        let KeyRef { name, key } = reference;
        // As on an API server, which merges stringData over data.
        if let Some(text) = secret.value["stringData"][key].as_str() {
            return Ok(Cow::Borrowed(text));
        }
        let bytes = decoded(&secret.value["data"][key]).ok_or_else(|| without(secret, key))?;
        String::from_utf8(bytes).map(Cow::Owned).map_err(|_| {
            (
                format!("bytes that are not UTF-8 in Secret {name}, key {key}"),
                "UTF-8 text".to_owned(),
            )
        })
    }

    /// The bytes under another key of a Secret that is in the file.
    pub(super) fn secret_entry(&self, reference: &KeyRef, key: &str) -> Option<Vec<u8>> {
        let secret = self.find(Kind::Secret, reference).ok()?;
        match secret.value["stringData"][key].as_str() {
            Some(text) => Some(text.as_bytes().to_vec()),
            None => decoded(&secret.value["data"][key]),
        }
    }

    /// The text or bytes under a key of a ConfigMap.
    pub(super) fn config_map(&self, reference: &KeyRef) -> Result<Cow<'_, [u8]>, Missing> {
        let config_map = self.find(Kind::ConfigMap, reference)?;
        let key = &reference.key;
        if let Some(text) = config_map.value["data"][key].as_str() {
            return Ok(Cow::Borrowed(text.as_bytes()));
        }
        decoded(&config_map.value["binaryData"][key])
            .map(Cow::Owned)
            .ok_or_else(|| without(config_map, key))
    }

    /// The line of a ConfigMap's key.
    pub(super) fn config_map_line(&self, reference: &KeyRef) -> Option<usize> {
        let config_map = self.find(Kind::ConfigMap, reference).ok()?;
        let names = ["data", reference.key.as_str()];
        Some(config_map.document.line_of_names(&names))
    }

    fn find(&self, kind: Kind, reference: &KeyRef) -> Result<&Parsed<'a>, Missing> {
        let namesakes = || {
            self.others
                .iter()
                .filter(|other| other.kind == kind && other.name() == reference.name)
        };
        let namespace = self.flash_sale.namespace();
        if let Some(found) = namesakes().find(|other| other.namespace() == namespace) {
            return Ok(found);
        }
        let KeyRef { name, key } = reference;
        let kind = kind.word();
        Err(match namesakes().next() {
            Some(other) => (
                format!("{kind} {name} in the namespace {}", other.namespace()),
                format!("it in the namespace {namespace}, where the FlashSale is"),
            ),
            None => (
                format!("no {kind} {name} in this file"),
                format!("it as another document of the file, with the key {key}"),
            ),
        })
    }
}

impl Parsed<'_> {
    /// The line of a field such as `spec.limits.total`.
    pub(super) fn line_of(&self, path: &str) -> usize {
        self.document.line_of(path)
    }

    fn fault(&self, message: String) -> Fault {
        Fault {
            line: Some(self.document.first()),
            message,
        }
    }

    fn fault_of(&self, mut error: FieldError) -> Fault {
        let line = Some(self.line_of(&error.path));
        let word = |byte: u8| byte.is_ascii_alphabetic() || byte == b'.';
        if self.kind == Kind::Secret && error.found == UNKNOWN && !error.path.bytes().all(word) {
            // The name may be a value in the wrong place.
            error.path = "(not shown)".to_owned();
        }
        let message = format!("{}: {error}", self.title());
        Fault { line, message }
    }

    fn title(&self) -> String {
        format!("{} {}", self.kind.word(), self.name())
    }

    fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The default is that of `kubectl`.
    fn namespace(&self) -> &str {
        let stated = self.value["metadata"]["namespace"].as_str();
        stated.unwrap_or("default")
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.kind, self.namespace(), self.name()) == (other.kind, other.namespace(), other.name())
    }
}

/// Existing keys are not listed: a value may stand in the place of a key.
fn without(found: &Parsed<'_>, key: &str) -> Missing {
    (
        format!("{} without the key {key}", found.title()),
        "the key in it".to_owned(),
    )
}

fn decoded(value: &Value) -> Option<Vec<u8>> {
    // A missing value would be read as no bytes.
    value.as_str()?;
    Some(ByteString::deserialize(value).ok()?.0)
}

/// Parses with the type of the parser first, which refuses a duplicate key.
fn parse(document: Document<'_>) -> Result<Value, ManifestError> {
    let deserializer = serde_yaml_ng::Deserializer::from_str(document.text);
    let failed = |error: serde_yaml_ng::Error| {
        let line = match error.location() {
            Some(location) => document.line(location.line()),
            None => document.first(),
        };
        // The message counts lines from the start of the document; ours counts from the file's.
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message);
        ManifestError::one(Some(line), message)
    };
    let value = serde_yaml_ng::Value::deserialize(deserializer).map_err(failed)?;
    serde_json::to_value(value).map_err(|error| {
        ManifestError::one(
            Some(document.first()),
            format!("found YAML that JSON cannot hold ({error}); expected maps with texts as keys"),
        )
    })
}
