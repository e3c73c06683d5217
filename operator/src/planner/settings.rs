//! From what a manifest says to what can be carried out: [`validate`].
//!
//! [`Settings`] cannot be made in any other way, so whoever holds one need not check anything
//! again. Validation asks nobody and reads no clock: the same resource gives the same answer.
//! What it needs others for (Secrets, the catalogue of a ConfigMap) it leaves as a reference.

mod check;

use std::fmt;

use flashsale_engine::{
    CURRENT_FORMAT, DEFAULT_PARTITIONS, FlashSaleName, Limits, MAX_ITEMS, Sale, SaleId, Window,
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::crd::{Attempts, FlashSale, KeyRef};
use crate::planner::Schedule;
use check::Check;
pub(crate) use check::quoted;

/// A FlashSale that makes sense.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Namespace and name.
    pub name: FlashSaleName,
    /// When the resource was made, where that is known: starts before it are nobody's.
    pub created_at: Option<Timestamp>,
    /// The version of the spec, where it is known.
    pub generation: Option<i64>,
    /// When sales open.
    pub schedule: Schedule,
    /// How long a sale is open: more than nothing.
    pub duration: SignedDuration,
    /// Whether further sales are held back.
    pub suspend: bool,
    /// How long after its start a sale may still be opened; `None`: until it ends.
    pub starting_deadline: Option<SignedDuration>,
    /// How many sales that were held stay in the status.
    pub successful_history_limit: usize,
    /// How many sales that were not held stay in the status.
    pub failed_history_limit: usize,
    /// What is sold.
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
    /// How long after its end a sale is kept ready to be asked about.
    pub cool_down: SignedDuration,
    /// Pods at rest.
    pub idle_replicas: u32,
    /// Pods during a sale: at least those at rest, at most `max_replicas`.
    pub sale_replicas: u32,
    /// The most pods under load; `None`: they do not follow the load.
    pub max_replicas: Option<u32>,
    valid: Valid,
}

/// Only this module can make one.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Valid;

/// What is sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogChoice {
    /// So many made-up items.
    Generate {
        /// 1 to [`MAX_ITEMS`].
        count: u32,
    },
    /// The CSV under this key of this ConfigMap.
    ConfigMap(KeyRef),
}

/// A field whose value cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FieldError {
    /// The field, as `spec.limits.total`.
    pub path: String,
    /// What it holds.
    pub found: String,
    /// What it may hold.
    pub expected: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: found {}; expected {}",
            self.path, self.found, self.expected
        )
    }
}

const MAX_DURATION: SignedDuration = SignedDuration::from_hours(744);
const MAX_WARM_UP: SignedDuration = SignedDuration::from_hours(24);

/// Checks everything that the resource alone can tell, and says everything that is wrong.
pub fn validate(flash_sale: &FlashSale) -> Result<Settings, Vec<FieldError>> {
    let spec = &flash_sale.spec;
    let (namespace, name) = (
        flash_sale
            .namespace()
            .unwrap_or_else(|| "default".to_owned()),
        flash_sale.name_any(),
    );
    let mut check = Check::default();

    let full_name = check.name(&namespace, &name);
    let zone = check.zone(&spec.time_zone);
    let duration = check.duration("spec.duration", &spec.duration, "1s", MAX_DURATION);
    let schedule = match (&spec.schedule, &spec.start_at) {
        (Some(expression), None) => zone.and_then(|zone| check.cron(expression, zone, duration)),
        (None, Some(start)) => check.start_at(start),
        (both, _) => {
            let found = if both.is_some() { "both" } else { "neither" };
            check.fail(
                "spec.schedule",
                found,
                "exactly one of schedule and startAt",
            );
            None
        }
    };
    let starting_deadline = spec
        .starting_deadline_seconds
        .and_then(|s| check.number("spec.startingDeadlineSeconds", s, 1, 2_678_400))
        .map(|seconds| SignedDuration::from_secs(i64::from(seconds)));
    let successful_history_limit = check.number(
        "spec.successfulSalesHistoryLimit",
        spec.successful_sales_history_limit,
        0,
        100,
    );
    let failed_history_limit = check.number(
        "spec.failedSalesHistoryLimit",
        spec.failed_sales_history_limit,
        0,
        100,
    );
    let attempts_retention_days = check.number(
        "spec.attemptsRetentionDays",
        spec.attempts_retention_days,
        1,
        3650,
    );
    let catalog = check.catalog(spec);
    let (per_user, per_checkout) = check.limits(spec);
    let total = spec
        .limits
        .total
        .and_then(|total| check.number("spec.limits.total", total, 1, MAX_ITEMS));
    if let (Some(total), Some(CatalogChoice::Generate { count })) = (total, &catalog)
        && total > *count
    {
        check.fail(
            "spec.limits.total",
            total,
            format!("at most spec.catalog.generate.count, {count}"),
        );
    }
    check.key_ref("spec.redis.secretKeyRef", &spec.redis.secret_key_ref);
    check.key_ref("spec.postgres.secretKeyRef", &spec.postgres.secret_key_ref);
    let warm_up = check.duration("spec.api.warmUp", &spec.api.warm_up, "0s", MAX_WARM_UP);
    let cool_down = check.duration("spec.api.coolDown", &spec.api.cool_down, "0s", MAX_WARM_UP);
    let (idle_replicas, sale_replicas, max_replicas) = check.replicas(spec);
    check.cpu_to_scale_by(&spec.api);

    let settings = || {
        Some(Settings {
            name: full_name?,
            created_at: flash_sale
                .metadata
                .creation_timestamp
                .as_ref()
                .map(|time| time.0),
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
    };
    let settings = settings();
    match (settings, check.into_errors()) {
        (Some(settings), errors) if errors.is_empty() => Ok(settings),
        (_, errors) => Err(errors),
    }
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

    /// From this moment on a sale that was not seeded in time is not opened any more.
    pub fn given_up_at(&self, window: Window) -> Timestamp {
        match self.starting_deadline {
            // The deadline itself is still inside, as with a CronJob.
            Some(deadline) => window
                .ends_at
                .min(window.starts_at + deadline + SignedDuration::from_nanos(1)),
            None => window.ends_at,
        }
    }

    /// How many of so many items are sold, if the catalogue has as many.
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

    /// The sale in this window, once the number of its items is known.
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
