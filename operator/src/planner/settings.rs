//! The validated settings of a FlashSale: [`validate`].
//!
//! [`Settings`] cannot be created in any other way, so code that holds one checks nothing again.
//! Validation performs no I/O and reads no clock: the same resource gives the same result. Secrets
//! and ConfigMaps stay references.

use flashsale_engine::{
    CURRENT_FORMAT, DEFAULT_PARTITIONS, FlashSaleName, Limits, Sale, SaleId, Window,
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::field_checks::{CatalogChoice, Check};
use super::field_error::FieldError;
use super::schedule::Schedule;
use crate::crd::{Attempts, FlashSale, KeyRef};

/// The settings of a valid FlashSale.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Namespace and name.
    pub name: FlashSaleName,
    /// When the resource was created, if it is in a cluster: earlier starts do not count.
    pub created_at: Option<Timestamp>,
    /// The generation of the spec, if it is in a cluster.
    pub generation: Option<i64>,
    /// When sales open.
    pub schedule: Schedule,
    /// How long a sale is open: more than zero.
    pub duration: SignedDuration,
    /// Whether no further sale opens.
    pub suspend: bool,
    /// How long after its start a sale may still be opened; `None`: until it ends.
    pub starting_deadline: Option<SignedDuration>,
    /// How many sales that were held stay in the status.
    pub successful_history_limit: usize,
    /// How many sales that were not held stay in the status.
    pub failed_history_limit: usize,
    /// Where the catalogue comes from.
    pub catalog: CatalogChoice,
    /// Items that one user may buy in one sale.
    pub per_user: u32,
    /// Items that one cart may hold.
    pub per_checkout: u32,
    /// Items that a sale may sell in all; `None`: its catalogue.
    pub total: Option<u32>,
    /// Whether attempts may be dropped when their backlog is full.
    pub best_effort: bool,
    /// How many days attempts are kept.
    pub attempts_retention_days: u32,
    /// The Secret and key with the URL of Redis.
    pub redis: KeyRef,
    /// The Secret and key with the URL of Postgres.
    pub postgres: KeyRef,
    /// How long before its start a sale is prepared.
    pub warm_up: SignedDuration,
    /// How long after its end the pods and the Redis state of a sale are kept.
    pub cool_down: SignedDuration,
    /// Pods at rest.
    pub idle_replicas: u32,
    /// Pods during a sale: at least those at rest, at most `max_replicas`.
    pub sale_replicas: u32,
    /// The most pods under load; `None`: the number does not follow the load.
    pub max_replicas: Option<u32>,
    valid: Valid,
}

/// Only this module can create one.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Valid;

/// Checks everything that the resource alone holds, and returns all errors.
pub fn validate(flash_sale: &FlashSale) -> Result<Settings, Vec<FieldError>> {
    let mut check = Check::default();
    let settings = settings(flash_sale, &mut check);
    match (settings, check.into_errors()) {
        (Some(settings), errors) if errors.is_empty() => Ok(settings),
        (_, errors) => Err(errors),
    }
}

/// `None`: `check` has an error.
fn settings(flash_sale: &FlashSale, check: &mut Check) -> Option<Settings> {
    let spec = &flash_sale.spec;
    let namespace = flash_sale.namespace();
    let namespace = namespace.as_deref().unwrap_or("default");
    // All checks run before the first `?`, so that all errors are found.
    let name = check.name(namespace, &flash_sale.name_any());
    let (schedule, duration) = check.schedule(spec);
    let starting_deadline = check.starting_deadline(spec);
    let (successful_history_limit, failed_history_limit) = check.history_limits(spec);
    let attempts_retention_days = check.attempts_retention_days(spec);
    let catalog = check.catalog(spec);
    let (per_user, per_checkout) = check.limits(spec);
    let total = check.total(spec, catalog.as_ref());
    check.key_ref("spec.redis.secretKeyRef", &spec.redis.secret_key_ref);
    check.key_ref("spec.postgres.secretKeyRef", &spec.postgres.secret_key_ref);
    let (warm_up, cool_down) = check.warm_up_and_cool_down(&spec.api);
    let (idle_replicas, sale_replicas, max_replicas) = check.replicas(spec);
    check.cpu_to_scale_by(&spec.api);

    let created_at = flash_sale.metadata.creation_timestamp.as_ref();
    Some(Settings {
        name: name?,
        created_at: created_at.map(|time| time.0),
        generation: flash_sale.metadata.generation,
        schedule: schedule?,
        duration: duration?,
        suspend: spec.suspend,
        starting_deadline,
        successful_history_limit: successful_history_limit? as usize,
        failed_history_limit: failed_history_limit? as usize,
        catalog: catalog?,
        per_user: per_user?,
        per_checkout: per_checkout?,
        total,
        best_effort: spec.attempts == Attempts::BestEffort,
        attempts_retention_days: attempts_retention_days?,
        redis: spec.redis.secret_key_ref.clone(),
        postgres: spec.postgres.secret_key_ref.clone(),
        warm_up: warm_up?,
        cool_down: cool_down?,
        idle_replicas: idle_replicas?,
        sale_replicas: sale_replicas?,
        max_replicas,
        valid: Valid,
    })
}

impl Settings {
    /// The window of the sale that opens at `start`. Two windows never overlap: where a clock
    /// change brings two starts closer than a sale is long, the first ends when the second opens.
    pub fn window(&self, start: Timestamp) -> Window {
        let end = start
            .saturating_add(self.duration)
            .unwrap_or(Timestamp::MAX);
        let ends_at = self
            .schedule
            .next_after(start)
            .map_or(end, |next| next.min(end));
        Window {
            starts_at: start,
            ends_at,
        }
    }

    /// How many items of a catalogue with `items` items may be sold.
    pub fn total_of(&self, items: u32) -> Result<u32, FieldError> {
        let total = self.total.unwrap_or(items);
        if total > items {
            return Err(FieldError {
                path: "spec.limits.total".to_owned(),
                found: total.to_string(),
                expected: format!("at most the {items} items of the catalogue"),
            });
        }
        Ok(total)
    }

    /// The sale in this window, with a catalogue of `items` items.
    pub fn sale(&self, window: Window, items: u32) -> Result<Sale, FieldError> {
        let total = self.total_of(items)?;
        Ok(Sale {
            id: SaleId::new(&self.name, window.starts_at),
            window,
            limits: Limits {
                per_user: self.per_user,
                per_checkout: self.per_checkout,
                total,
            },
            items,
            partitions: DEFAULT_PARTITIONS,
            best_effort: self.best_effort,
            format: CURRENT_FORMAT,
        })
    }
}

#[cfg(test)]
mod tests;
