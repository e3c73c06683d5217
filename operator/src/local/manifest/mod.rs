//! A FlashSale from one file of YAML, with what it refers to.
//!
//! The file holds one FlashSale and, in documents of their own, the Secrets and ConfigMaps that
//! it refers to, as `kubectl apply` takes them. Reading is strict, as the API server is: a field
//! that a kind does not have is an error, and so is a value that its schema does not allow.
//! Everything that is wrong is said at once, each with its field and its line (but what is no YAML
//! or of another kind is said alone). The values of Secrets are never shown.

mod documents;
mod lines;
mod schema;

use std::fmt;

use flashsale_engine::Catalog;
use serde::Deserialize;

use crate::crd::{FlashSale, KeyRef};
use crate::driver::Goods;
use crate::planner::{CatalogChoice, FieldError, Settings, validate};
use crate::backends::{PostgresUrl, RedisUrl, StoreUrls};
use documents::Documents;

/// A FlashSale that can be carried out, with what it refers to.
pub struct Manifest {
    /// The FlashSale.
    pub settings: Settings,
    /// What it sells.
    pub goods: Goods,
    /// Where its stores are.
    pub urls: StoreUrls,
}

/// URLs that come before those of the Secrets. An empty one counts as not given.
#[derive(Clone, Default)]
pub struct GivenUrls {
    /// Of Redis.
    pub redis: Option<String>,
    /// Of Postgres.
    pub postgres: Option<String>,
}

/// Everything that is wrong with a file, from its beginning to its end.
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
    let text = utf8(bytes)?;
    let (documents, mut faults) = Documents::read(text)?;
    let mut reading = Reading {
        documents: &documents,
        errors: Vec::new(),
        faults: Vec::new(),
    };
    let manifest = reading.manifest(given);
    faults.append(&mut reading.faults);
    // Of two words about one field, that of the rule says more than that of the schema.
    let ruled = reading.errors;
    let said = |error: &&FieldError| ruled.iter().all(|ruled| ruled.path != error.path);
    for error in documents.errors.iter().filter(said).chain(&ruled) {
        faults.push(Fault {
            // An option of the command has no line in the file.
            line: (!error.path.starts_with("--"))
                .then(|| documents.flash_sale.line_of(&error.path)),
            message: error.to_string(),
        });
    }
    faults.sort_by_key(|fault| fault.line);
    match manifest {
        Some(manifest) if faults.is_empty() => Ok(manifest),
        _ => Err(ManifestError { faults }),
    }
}

/// Some editors put a mark of the byte order before the text.
fn utf8(bytes: &[u8]) -> Result<&str, ManifestError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        let message = "found bytes that are not UTF-8; expected UTF-8 text";
        ManifestError::one(Some(lines + 1), message)
    })
}

/// Goes on behind a fault, to find the others.
struct Reading<'a> {
    documents: &'a Documents<'a>,
    /// What is wrong with the FlashSale, beyond its schema.
    errors: Vec<FieldError>,
    /// What is wrong with other documents.
    faults: Vec<Fault>,
}

impl Reading<'_> {
    /// `None`: something is wrong, and was said here or in the check of the schema.
    fn manifest(&mut self, given: GivenUrls) -> Option<Manifest> {
        let flash_sale = match FlashSale::deserialize(&self.documents.flash_sale.value) {
            Ok(flash_sale) => flash_sale,
            Err(_) if !self.documents.errors.is_empty() => return None,
            Err(error) => {
                // What the schema lets pass can be read; this is for what nobody thought of.
                self.fail("spec", error, "a FlashSale of flashsale.dev/v1alpha1");
                return None;
            }
        };
        let spec = &flash_sale.spec;
        let settings = match validate(&flash_sale) {
            Ok(settings) => Some(settings),
            Err(mut errors) => {
                self.errors.append(&mut errors);
                None
            }
        };
        let reference = &spec.redis.secret_key_ref;
        let redis = self.url(given.redis, "redis", reference, RedisUrl::parse);
        let reference = &spec.postgres.secret_key_ref;
        let postgres = self.url(given.postgres, "postgres", reference, PostgresUrl::parse);
        let goods = match (&spec.catalog.generate, &spec.catalog.config_map_ref) {
            (None, Some(reference)) => self.listed(reference, settings.as_ref()).map(Goods::Listed),
            _ => match settings.as_ref()?.catalog {
                CatalogChoice::Generate { count } => Some(Goods::MadeUp(count)),
                CatalogChoice::ConfigMap(_) => None,
            },
        };
        Some(Manifest {
            settings: settings?,
            goods: goods?,
            urls: StoreUrls {
                redis: redis?,
                postgres: postgres?,
            },
        })
    }

    /// The URL of a store: as it was given, else as the Secret has it.
    fn url<U>(
        &mut self,
        given: Option<String>,
        store: &str,
        reference: &KeyRef,
        parse: impl Fn(&str, &str) -> Result<U, FieldError>,
    ) -> Option<U> {
        let option = format!("--{store}-url");
        let path = format!("spec.{store}.secretKeyRef");
        let url = match given.filter(|url| !url.trim().is_empty()) {
            Some(url) => parse(&option, &url),
            None => match self.documents.secret(self.sound(&path, reference)?) {
                Ok(url) => parse(&path, &url),
                Err((found, expected)) => {
                    self.fail(&path, found, format!("{expected}, or {option}"));
                    return None;
                }
            },
        };
        url.map_err(|error| self.errors.push(error)).ok()
    }

    /// The items of a ConfigMap, if they are as many as are to be sold.
    fn listed(&mut self, reference: &KeyRef, settings: Option<&Settings>) -> Option<Catalog> {
        let path = "spec.catalog.configMapRef";
        let csv = match self.documents.config_map(self.sound(path, reference)?) {
            Ok(csv) => csv,
            Err((found, expected)) => {
                self.fail(path, found, expected);
                return None;
            }
        };
        let catalog = match Catalog::from_csv(csv.as_ref()) {
            Ok(catalog) => catalog,
            Err(error) => {
                let KeyRef { name, key } = reference;
                self.faults.push(Fault {
                    line: self.documents.config_map_line(reference),
                    message: format!("ConfigMap {name}, key {key}: {error}"),
                });
                return None;
            }
        };
        match settings?.total_of(catalog.len() as u32) {
            Ok(_) => Some(catalog),
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }

    /// A reference that cannot be one leads nowhere, and may be a URL that nobody should see.
    fn sound<'r>(&self, path: &str, reference: &'r KeyRef) -> Option<&'r KeyRef> {
        let wrong = |error: &FieldError| error.path.starts_with(path);
        (!self.documents.errors.iter().any(wrong)).then_some(reference)
    }

    fn fail(&mut self, path: &str, found: impl fmt::Display, expected: impl Into<String>) {
        self.errors.push(FieldError {
            path: path.to_owned(),
            found: found.to_string(),
            expected: expected.into(),
        });
    }
}

#[cfg(test)]
mod tests;
