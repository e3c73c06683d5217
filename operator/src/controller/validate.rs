//! Whether a FlashSale and what it refers to can be carried out: a pure function.

use flashsale_engine::Catalog;
use jiff::Timestamp;

use super::fetch::{Found, Referred};
use crate::crd::{FlashSale, FlashSaleStatus, KeyRef};
use crate::driver::Goods;
use crate::status::{self, Refusal};
use crate::planner::{CatalogChoice, FieldError, Settings, validate as validate_alone};
use crate::backends::{PostgresUrl, RedisUrl, StoreUrls};

/// A FlashSale that can be carried out, with what it refers to.
pub(super) struct Valid {
    pub(super) settings: Settings,
    pub(super) goods: Goods,
    pub(super) urls: StoreUrls,
}

/// Why it cannot be: everything that is wrong. Nothing of what a Secret holds is in it.
#[derive(Debug, PartialEq)]
pub(super) struct Refused {
    pub(super) why: Refusal,
    pub(super) errors: Vec<FieldError>,
}

impl Refused {
    /// The status that tells it, beside what is known of the sales. `before` is what was last told.
    pub(super) fn status(
        &self,
        generation: Option<i64>,
        known: &FlashSaleStatus,
        before: &FlashSaleStatus,
    ) -> FlashSaleStatus {
        let Self { why, errors } = self;
        report::refused(*why, errors, generation, known, before, Timestamp::now())
    }
}

/// Checks a FlashSale alone, then what it refers to.
pub(super) fn validate(flash_sale: &FlashSale, referred: &Referred) -> Result<Valid, Refused> {
    let settings = validate_alone(flash_sale).map_err(|errors| Refused {
        why: Refusal::Invalid,
        errors,
    })?;
    let mut errors = Vec::new();
    let urls = urls(flash_sale, referred, &mut errors);
    let goods = goods(&settings, referred, &mut errors);
    match (urls, goods) {
        (Some(urls), Some(goods)) if errors.is_empty() => Ok(Valid {
            settings,
            goods,
            urls,
        }),
        _ => Err(Refused {
            why: Refusal::Reference,
            errors,
        }),
    }
}

/// The stores alone; what is wrong goes to `errors`.
pub(super) fn urls(
    flash_sale: &FlashSale,
    referred: &Referred,
    errors: &mut Vec<FieldError>,
) -> Option<StoreUrls> {
    let spec = &flash_sale.spec;
    let mut read = |field: &str, reference: &KeyRef, found: &Found| {
        let path = format!("{field}.secretKeyRef");
        match found {
            Ok(bytes) => match String::from_utf8(bytes.clone()) {
                Ok(text) => Some((path, text)),
                Err(_) => {
                    let KeyRef { name, key } = reference;
                    errors.push(FieldError {
                        path,
                        found: format!("bytes that are not UTF-8 in Secret {name}, key {key}"),
                        expected: "UTF-8 text".to_owned(),
                    });
                    None
                }
            },
            Err(instead) => {
                errors.push(missing(path, "Secret", reference, instead));
                None
            }
        }
    };
    let redis = read("spec.redis", &spec.redis.secret_key_ref, &referred.redis);
    let reference = &spec.postgres.secret_key_ref;
    let postgres = read("spec.postgres", reference, &referred.postgres);
    let redis = redis.map(|(path, text)| RedisUrl::parse(&path, &text));
    let postgres = postgres.map(|(path, text)| PostgresUrl::parse(&path, &text));
    let redis = redis?.map_err(|error| errors.push(error)).ok();
    let postgres = postgres?.map_err(|error| errors.push(error)).ok();
    Some(StoreUrls {
        redis: redis?,
        postgres: postgres?,
    })
}

fn goods(settings: &Settings, referred: &Referred, errors: &mut Vec<FieldError>) -> Option<Goods> {
    let path = || "spec.catalog.configMapRef".to_owned();
    let (reference, found) = match (&settings.catalog, &referred.catalog) {
        (CatalogChoice::Generate { count }, _) => return Some(Goods::MadeUp(*count)),
        (CatalogChoice::ConfigMap(reference), Some(found)) => (reference, found),
        (CatalogChoice::ConfigMap(_), None) => return None,
    };
    let csv = found
        .as_ref()
        .map_err(|instead| errors.push(missing(path(), "ConfigMap", reference, instead)))
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
        Ok(_) => Some(Goods::Listed(catalog)),
        Err(error) => {
            errors.push(error);
            None
        }
    }
}

fn missing(path: String, kind: &str, reference: &KeyRef, instead: &str) -> FieldError {
    let KeyRef { name, key } = reference;
    FieldError {
        path,
        found: instead.to_owned(),
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
