//! A FlashSale from one file of YAML, with its references.
//!
//! Guarantees: the file holds one FlashSale and, as further documents, the Secrets and ConfigMaps
//! that the FlashSale refers to, as `kubectl apply` takes them. Reading is strict, as the API server
//! is: a field that a kind does not have is an error, and so is a value that its schema does not
//! allow. All errors are found at once, each with its field and its line (but text that is not YAML,
//! or a document of another kind, is the only error). The values of Secrets are never shown.

mod documents;
mod error;
mod lines;
mod schema;

use std::fmt;

use flashsale_engine::{Catalog, Certificates};
use serde::Deserialize;

use crate::backends::{CheckedUrls, PostgresUrl, RedisUrl};
use crate::crd::{FlashSale, KeyRef};
use crate::driver::ResolvedCatalog;
use crate::planner::{CatalogChoice, FieldError, Settings, validate};
use documents::Documents;
use error::Fault;
pub use error::ManifestError;

/// A valid FlashSale with its resolved references.
pub struct Manifest {
    /// The FlashSale.
    pub settings: Settings,
    /// The catalogue of its sales.
    pub catalog: ResolvedCatalog,
    /// The URLs of its backends.
    pub urls: CheckedUrls,
}

/// The backends that options of the command name, instead of the Secrets.
#[derive(Clone, Default)]
pub struct GivenBackends {
    /// Redis.
    pub redis: GivenBackend,
    /// Postgres.
    pub postgres: GivenBackend,
}

/// What options of the command say of a backend.
#[derive(Clone, Default)]
pub struct GivenBackend {
    /// Its URL. An empty one counts as not given.
    pub url: Option<String>,
    /// Its certificates. Where none are given, the Secret of the URL holds them.
    pub certificates: Option<Certificates>,
}

impl GivenBackends {
    /// URLs without certificates.
    pub fn at(redis: impl Into<String>, postgres: impl Into<String>) -> Self {
        let backend = |url| GivenBackend {
            url: Some(url),
            certificates: None,
        };
        Self {
            redis: backend(redis.into()),
            postgres: backend(postgres.into()),
        }
    }
}

/// Reads a file.
pub fn read(bytes: &[u8], given: GivenBackends) -> Result<Manifest, ManifestError> {
    let text = utf8(bytes)?;
    let (documents, mut faults) = Documents::read(text)?;
    let mut reading = Reading {
        documents: &documents,
        errors: Vec::new(),
        faults: Vec::new(),
    };
    let manifest = reading.manifest(given);
    faults.append(&mut reading.faults);
    // Of two errors of one field, that of the validation is more precise than that of the schema.
    let invalid = reading.errors;
    let is_only = |error: &&FieldError| invalid.iter().all(|other| other.path != error.path);
    for error in documents.errors.iter().filter(is_only).chain(&invalid) {
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

/// Some editors write a byte order mark before the text.
fn utf8(bytes: &[u8]) -> Result<&str, ManifestError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        let message = "found bytes that are not UTF-8; expected UTF-8 text";
        ManifestError::one(Some(lines + 1), message)
    })
}

/// Continues after an error, to find the others.
struct Reading<'a> {
    documents: &'a Documents<'a>,
    /// Errors of the FlashSale that its schema does not find.
    errors: Vec<FieldError>,
    /// Errors of other documents.
    faults: Vec<Fault>,
}

impl Reading<'_> {
    /// `None`: an error was found, here or in the check of the schema.
    fn manifest(&mut self, given: GivenBackends) -> Option<Manifest> {
        let flash_sale = match FlashSale::deserialize(&self.documents.flash_sale.value) {
            Ok(flash_sale) => flash_sale,
            Err(_) if !self.documents.errors.is_empty() => return None,
            Err(error) => {
                // No input has been found that passes the schema and fails here.
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
        let redis = self.backend(given.redis, "redis", reference, RedisUrl::parse);
        let reference = &spec.postgres.secret_key_ref;
        let postgres = self.backend(given.postgres, "postgres", reference, PostgresUrl::parse);
        let catalog = match (&spec.catalog.generate, &spec.catalog.config_map_ref) {
            (None, Some(reference)) => self
                .listed(reference, settings.as_ref())
                .map(ResolvedCatalog::Listed),
            _ => match settings.as_ref()?.catalog {
                CatalogChoice::Generate { count } => Some(ResolvedCatalog::Generated(count)),
                CatalogChoice::ConfigMap(_) => None,
            },
        };
        Some(Manifest {
            settings: settings?,
            catalog: catalog?,
            urls: CheckedUrls::new(redis?, postgres?),
        })
    }

    /// The URL of a backend, the given one or else that of the Secret, and its certificates.
    fn backend<U>(
        &mut self,
        given: GivenBackend,
        backend: &str,
        reference: &KeyRef,
        parse: impl Fn(&str, &str) -> Result<U, FieldError>,
    ) -> Option<(U, Certificates)> {
        let option = format!("--{backend}-url");
        let path = format!("spec.{backend}.secretKeyRef");
        let mut certificates = Ok(given.certificates.clone().unwrap_or_default());
        let url = match given.url.filter(|url| !url.trim().is_empty()) {
            Some(url) => parse(&option, &url),
            None => match self.documents.secret(self.valid(&path, reference)?) {
                Ok(url) => {
                    if given.certificates.is_none() {
                        certificates = self.certificates(&path, reference);
                    }
                    parse(&path, &url)
                }
                Err((found, expected)) => {
                    self.fail(&path, found, format!("{expected}, or {option}"));
                    return None;
                }
            },
        };
        let url = url.map_err(|error| self.errors.push(error)).ok();
        let certificates = certificates.map_err(|error| self.errors.push(error)).ok();
        Some((url?, certificates?))
    }

    /// The certificates in the Secret of a URL.
    fn certificates(&self, path: &str, reference: &KeyRef) -> Result<Certificates, FieldError> {
        let certificates = Certificates::read(|name| self.documents.secret_entry(reference, name));
        certificates.map_err(|error| FieldError {
            path: path.to_owned(),
            found: format!("{} in Secret {}", error.found, reference.name),
            expected: error.expected,
        })
    }

    /// The items of a ConfigMap, if there are as many as the sale may sell.
    fn listed(&mut self, reference: &KeyRef, settings: Option<&Settings>) -> Option<Catalog> {
        let path = "spec.catalog.configMapRef";
        let csv = match self.documents.config_map(self.valid(path, reference)?) {
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

    /// The reference, if its fields are valid. An invalid one may be a URL, which is never shown.
    fn valid<'r>(&self, path: &str, reference: &'r KeyRef) -> Option<&'r KeyRef> {
        let is_inside = |error: &FieldError| error.path.starts_with(path);
        (!self.documents.errors.iter().any(is_inside)).then_some(reference)
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
