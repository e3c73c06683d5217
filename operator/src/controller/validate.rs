//! Step 2 of a reconciliation: validates a FlashSale and its resolved references. Pure.

use flashsale_engine::{Catalog, Certificates};
use jiff::Timestamp;

use super::references::{Resolved, ResolvedBackend, ResolvedReferences};
use crate::backends::{CheckedUrls, PostgresUrl, RedisUrl};
use crate::crd::{FlashSale, FlashSaleStatus, KeyRef};
use crate::driver::ResolvedCatalog;
use crate::planner::{self, CatalogChoice, FieldError, Settings};
use crate::status::{self, Refusal};

/// A valid FlashSale with its resolved references.
pub(super) struct Valid {
    pub(super) settings: Settings,
    pub(super) catalog: ResolvedCatalog,
    pub(super) urls: CheckedUrls,
    pub(super) secrets_revision: String,
}

/// Why a FlashSale is refused: all errors. No value of a Secret is in them.
#[derive(Debug, PartialEq)]
pub(super) struct Refused {
    pub(super) why: Refusal,
    pub(super) errors: Vec<FieldError>,
}

impl Refused {
    /// The status of the refused FlashSale, beside its sales as in `sales`. `before` is the
    /// status that was last written.
    pub(super) fn status(
        &self,
        generation: Option<i64>,
        sales: &FlashSaleStatus,
        before: &FlashSaleStatus,
        now: Timestamp,
    ) -> FlashSaleStatus {
        let Self { why, errors } = self;
        status::refused(*why, errors, generation, sales, before, now)
    }
}

/// Validates a FlashSale, then its references.
pub(super) fn validate(
    flash_sale: &FlashSale,
    references: &ResolvedReferences,
) -> Result<Valid, Refused> {
    let settings = planner::validate(flash_sale).map_err(|errors| Refused {
        why: Refusal::Invalid,
        errors,
    })?;
    let mut errors = Vec::new();
    let urls = urls(flash_sale, references, &mut errors);
    let catalog = catalog(&settings, references, &mut errors);
    match (urls, catalog) {
        (Some(urls), Some(catalog)) if errors.is_empty() => Ok(Valid {
            settings,
            catalog,
            urls,
            secrets_revision: references.secrets_revision.clone(),
        }),
        _ => Err(Refused {
            why: Refusal::Reference,
            errors,
        }),
    }
}

/// The URLs of the backends, with their certificates; `None`: `errors` holds the reasons.
pub(super) fn urls(
    flash_sale: &FlashSale,
    references: &ResolvedReferences,
    errors: &mut Vec<FieldError>,
) -> Option<CheckedUrls> {
    let spec = &flash_sale.spec;
    let (reference, found) = (&spec.redis.secret_key_ref, &references.redis);
    let redis = backend("spec.redis", reference, found, RedisUrl::parse, errors);
    let (reference, found) = (&spec.postgres.secret_key_ref, &references.postgres);
    let postgres = backend(
        "spec.postgres",
        reference,
        found,
        PostgresUrl::parse,
        errors,
    );
    Some(CheckedUrls::new(redis?, postgres?))
}

/// The URL of a backend and the certificates beside it.
fn backend<U>(
    field: &str,
    reference: &KeyRef,
    found: &ResolvedBackend,
    parse: impl Fn(&str, &str) -> Result<U, FieldError>,
    errors: &mut Vec<FieldError>,
) -> Option<(U, Certificates)> {
    let path = format!("{field}.secretKeyRef");
    let url = url(&path, reference, &found.url).and_then(|text| parse(&path, &text));
    let certificates = Certificates::read(|name| found.certificates.get(name).cloned());
    let certificates = certificates.map_err(|error| FieldError {
        path,
        found: format!("{} in Secret {}", error.found, reference.name),
        expected: error.expected,
    });
    let url = url.map_err(|error| errors.push(error)).ok();
    let certificates = certificates.map_err(|error| errors.push(error)).ok();
    Some((url?, certificates?))
}

/// The text of a URL.
fn url(path: &str, reference: &KeyRef, resolved: &Resolved) -> Result<String, FieldError> {
    let bytes = resolved
        .as_ref()
        .map_err(|found| missing(path.to_owned(), "Secret", reference, found))?;
    String::from_utf8(bytes.clone()).map_err(|_| {
        let KeyRef { name, key } = reference;
        FieldError {
            path: path.to_owned(),
            found: format!("bytes that are not UTF-8 in Secret {name}, key {key}"),
            expected: "UTF-8 text".to_owned(),
        }
    })
}

fn catalog(
    settings: &Settings,
    references: &ResolvedReferences,
    errors: &mut Vec<FieldError>,
) -> Option<ResolvedCatalog> {
    let path = || "spec.catalog.configMapRef".to_owned();
    let (reference, resolved) = match (&settings.catalog, &references.catalog) {
        (CatalogChoice::Generate { count }, _) => return Some(ResolvedCatalog::Generated(*count)),
        (CatalogChoice::ConfigMap(reference), Some(resolved)) => (reference, resolved),
        (CatalogChoice::ConfigMap(_), None) => return None,
    };
    let csv = resolved
        .as_ref()
        .map_err(|found| errors.push(missing(path(), "ConfigMap", reference, found)))
        .ok()?;
    let catalog = match Catalog::from_csv(csv.as_slice()) {
        Ok(catalog) => catalog,
        Err(error) => {
            let KeyRef { name, key } = reference;
            errors.push(FieldError {
                path: path(),
                found: format!("ConfigMap {name}, key {key}: {error}"),
                expected: "CSV with the header id,name,image_url".to_owned(),
            });
            return None;
        }
    };
    match settings.total_of(catalog.len() as u32) {
        Ok(_) => Some(ResolvedCatalog::Listed(catalog)),
        Err(error) => {
            errors.push(error);
            None
        }
    }
}

fn missing(path: String, kind: &str, reference: &KeyRef, found: &str) -> FieldError {
    let KeyRef { name, key } = reference;
    FieldError {
        path,
        found: found.to_owned(),
        expected: format!(
            "{kind} {name} with the key {key} in the namespace of the FlashSale; \
             `kubectl create {} {name} …` makes it",
            match kind {
                "Secret" => "secret generic",
                _ => "configmap",
            }
        ),
    }
}

#[cfg(test)]
mod tests;
