//! The checks of single fields. Each error names the field, what it holds and what it may hold.

use std::fmt;

use flashsale_engine::{FlashSaleName, MAX_ITEMS};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::field_error::{FieldError, quoted};
use super::schedule::{CronSchedule, Schedule};
use crate::crd::{ApiSpec, FlashSaleSpec, KeyRef};

const MAX_DURATION: SignedDuration = SignedDuration::from_hours(744);
const MAX_WARM_UP: SignedDuration = SignedDuration::from_hours(24);

/// Where the catalogue of a sale comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogChoice {
    /// This many generated items.
    Generate {
        /// 1 to [`MAX_ITEMS`].
        count: u32,
    },
    /// The CSV under this key of this ConfigMap.
    ConfigMap(KeyRef),
}

/// Collects errors, so that one message names all of them.
#[derive(Default)]
pub(super) struct Check {
    errors: Vec<FieldError>,
}

impl Check {
    fn fail(&mut self, path: &str, found: impl fmt::Display, expected: impl Into<String>) {
        let (path, found, expected) = (path.to_owned(), found.to_string(), expected.into());
        self.errors.push(FieldError {
            path,
            found,
            expected,
        });
    }

    /// All errors that were found.
    pub(super) fn into_errors(self) -> Vec<FieldError> {
        self.errors
    }

    /// By the rules of Kubernetes: a namespace is a label, a name is a subdomain (RFC 1123).
    pub(super) fn name(&mut self, namespace: &str, name: &str) -> Option<FlashSaleName> {
        let before = self.errors.len();
        if !is_label(namespace) || namespace.len() > 63 {
            let expected = "1 to 63 of a-z, 0-9 and '-', a letter or digit at both ends";
            self.fail("metadata.namespace", quoted(namespace), expected);
        }
        // A sale id, which becomes part of keys and codes, has to hold it.
        if !name.split('.').all(is_label) || name.len() > 200 {
            let expected = "1 to 200 of a-z, 0-9, '-' and '.', a letter or digit at both ends \
                            and beside each dot";
            self.fail("metadata.name", quoted(name), expected);
        }
        if self.errors.len() > before {
            return None;
        }
        FlashSaleName::new(namespace, name)
            .map_err(|error| self.fail("metadata.name", error, "a valid name"))
            .ok()
    }

    /// The schedule, and how long each sale is open.
    pub(super) fn schedule(
        &mut self,
        spec: &FlashSaleSpec,
    ) -> (Option<Schedule>, Option<SignedDuration>) {
        let zone = self.zone(&spec.time_zone);
        let duration = self.duration("spec.duration", &spec.duration, "1s", MAX_DURATION);
        let schedule = match (&spec.schedule, &spec.start_at) {
            (Some(expression), None) => zone.and_then(|zone| self.cron(expression, zone, duration)),
            (None, Some(start)) => self.start_at(start),
            (both, _) => {
                let found = if both.is_some() { "both" } else { "neither" };
                let expected = "exactly one of schedule and startAt";
                self.fail("spec.schedule", found, expected);
                None
            }
        };
        (schedule, duration)
    }

    pub(super) fn starting_deadline(&mut self, spec: &FlashSaleSpec) -> Option<SignedDuration> {
        let seconds = spec.starting_deadline_seconds?;
        let path = "spec.startingDeadlineSeconds";
        let seconds = self.number(path, seconds, 1, 2_678_400)?;
        Some(SignedDuration::from_secs(i64::from(seconds)))
    }

    /// Of sales that were held, and of sales that failed.
    pub(super) fn history_limits(&mut self, spec: &FlashSaleSpec) -> (Option<u32>, Option<u32>) {
        let path = "spec.successfulSalesHistoryLimit";
        let successful = self.number(path, spec.successful_sales_history_limit, 0, 100);
        let path = "spec.failedSalesHistoryLimit";
        let failed = self.number(path, spec.failed_sales_history_limit, 0, 100);
        (successful, failed)
    }

    pub(super) fn attempts_retention_days(&mut self, spec: &FlashSaleSpec) -> Option<u32> {
        let path = "spec.attemptsRetentionDays";
        self.number(path, spec.attempts_retention_days, 1, 3650)
    }

    pub(super) fn warm_up_and_cool_down(
        &mut self,
        api: &ApiSpec,
    ) -> (Option<SignedDuration>, Option<SignedDuration>) {
        let warm_up = self.duration("spec.api.warmUp", &api.warm_up, "0s", MAX_WARM_UP);
        let cool_down = self.duration("spec.api.coolDown", &api.cool_down, "0s", MAX_WARM_UP);
        (warm_up, cool_down)
    }

    fn zone(&mut self, name: &str) -> Option<TimeZone> {
        let expected = "the IANA name of a time zone such as Etc/UTC or Europe/Berlin";
        TimeZone::get(name)
            .map_err(|_| self.fail("spec.timeZone", quoted(name), expected))
            .ok()
    }

    fn start_at(&mut self, text: &str) -> Option<Schedule> {
        let time = text.parse::<Timestamp>().ok();
        // To the second, because the backends store no finer time. The years are far from the limits
        // of a timestamp, so that adding a duration cannot fail.
        let start = time
            .and_then(|time| Timestamp::from_second(time.as_second()).ok())
            .filter(|start| (2000..=2999).contains(&start.to_zoned(TimeZone::UTC).year()));
        if start.is_none() {
            let expected =
                "an RFC 3339 time such as 2026-11-27T08:00:00Z in the years 2000 to 2999";
            self.fail("spec.startAt", quoted(text), expected);
        }
        start.map(Schedule::Once)
    }

    fn number(&mut self, path: &str, value: impl Into<i64>, min: u32, max: u32) -> Option<u32> {
        let value = value.into();
        let number = u32::try_from(value)
            .ok()
            .filter(|number| (min..=max).contains(number));
        if number.is_none() {
            self.fail(path, value, format!("{min} to {max}"));
        }
        number
    }

    fn duration(
        &mut self,
        path: &str,
        text: &str,
        min: &str,
        max: SignedDuration,
    ) -> Option<SignedDuration> {
        let duration = parse_duration(text)
            .filter(|duration| *duration <= max && Some(*duration) >= parse_duration(min));
        if duration.is_none() {
            let expected = format!(
                "hours, minutes and seconds such as 1h30m or 90s, from {min} to {}h",
                max.as_hours()
            );
            self.fail(path, quoted(text), expected);
        }
        duration
    }

    fn cron(
        &mut self,
        expression: &str,
        zone: TimeZone,
        duration: Option<SignedDuration>,
    ) -> Option<Schedule> {
        let cron = match CronSchedule::parse(expression, zone) {
            Ok(cron) => cron,
            Err(reason) => {
                let found = format!("{} ({reason})", quoted(expression));
                let expected = "five fields (minute, hour, day of month, month, day of week) such as `0 8 * * MON-FRI`, or @hourly";
                self.fail("spec.schedule", found, expected);
                return None;
            }
        };
        if let (Some(duration), Some((one, next))) = (duration, cron.closest_starts()) {
            let interval = next.duration_since(one);
            if duration > interval {
                let expected = format!(
                    "at most {} of them: the schedule opens a sale at {} and the next at {}",
                    seconds(interval),
                    one.strftime("%a %H:%M"),
                    next.strftime("%a %H:%M"),
                );
                self.fail("spec.duration", seconds(duration), expected);
            }
        }
        Some(Schedule::Cron(Box::new(cron)))
    }

    pub(super) fn catalog(&mut self, spec: &FlashSaleSpec) -> Option<CatalogChoice> {
        match (&spec.catalog.generate, &spec.catalog.config_map_ref) {
            (Some(generate), None) => self
                .number("spec.catalog.generate.count", generate.count, 1, MAX_ITEMS)
                .map(|count| CatalogChoice::Generate { count }),
            (None, Some(reference)) => {
                self.key_ref("spec.catalog.configMapRef", reference);
                Some(CatalogChoice::ConfigMap(reference.clone()))
            }
            (both, _) => {
                let found = if both.is_some() { "both" } else { "neither" };
                self.fail(
                    "spec.catalog",
                    found,
                    "exactly one of generate and configMapRef",
                );
                None
            }
        }
    }

    pub(super) fn limits(&mut self, spec: &FlashSaleSpec) -> (Option<u32>, Option<u32>) {
        let per_user = self.number("spec.limits.perUser", spec.limits.per_user, 1, 1000);
        let path = "spec.limits.perCheckout";
        let per_checkout = match spec.limits.per_checkout {
            None => per_user.map(|per_user| per_user.min(10)),
            Some(stated) => self.number(path, stated, 1, 100),
        };
        if let (Some(per_user), Some(per_checkout)) = (per_user, per_checkout)
            && per_checkout > per_user
        {
            self.fail(
                path,
                per_checkout,
                format!("at most spec.limits.perUser, {per_user}"),
            );
        }
        (per_user, per_checkout)
    }

    pub(super) fn total(
        &mut self,
        spec: &FlashSaleSpec,
        catalog: Option<&CatalogChoice>,
    ) -> Option<u32> {
        let path = "spec.limits.total";
        let total = self.number(path, spec.limits.total?, 1, MAX_ITEMS)?;
        if let Some(CatalogChoice::Generate { count }) = catalog
            && total > *count
        {
            let expected = format!("at most spec.catalog.generate.count, {count}");
            self.fail(path, total, expected);
        }
        Some(total)
    }

    /// Pods at rest, during a sale, and at most under load.
    pub(super) fn replicas(
        &mut self,
        spec: &FlashSaleSpec,
    ) -> (Option<u32>, Option<u32>, Option<u32>) {
        let idle = self.number("spec.api.replicas.idle", spec.api.replicas.idle, 0, 1000);
        let sale = self.number("spec.api.replicas.sale", spec.api.replicas.sale, 1, 1000);
        if let (Some(idle), Some(sale)) = (idle, sale)
            && idle > sale
        {
            self.fail(
                "spec.api.replicas.idle",
                idle,
                format!("at most spec.api.replicas.sale, {sale}"),
            );
        }
        let max = spec.api.autoscaling.as_ref().and_then(|autoscaling| {
            self.number(
                "spec.api.autoscaling.maxReplicas",
                autoscaling.max_replicas,
                1,
                1000,
            )
        });
        if let (Some(max), Some(sale)) = (max, sale)
            && max < sale
        {
            let expected = format!("at least spec.api.replicas.sale, {sale}");
            self.fail("spec.api.autoscaling.maxReplicas", max, expected);
        }
        (idle, sale, max)
    }

    /// An autoscaler measures shares of the requested CPU: without a request the number of pods never
    /// grows. The operator's own default is not checked here.
    pub(super) fn cpu_to_scale_by(&mut self, api: &ApiSpec) {
        let Some(resources) = api.autoscaling.as_ref().and(api.resources.as_ref()) else {
            return;
        };
        // A limit without a request is a request, too.
        let mut amounts = resources.requests.iter().chain(&resources.limits);
        if !amounts.any(|amounts| amounts.contains_key("cpu")) {
            let expected = "an amount of CPU, which spec.api.autoscaling measures the pods by";
            self.fail("spec.api.resources.requests.cpu", "nothing", expected);
        }
    }

    /// The value is not shown: it may be a URL in the place of its Secret's name.
    pub(super) fn key_ref(&mut self, path: &str, reference: &KeyRef) {
        for (field, value) in [("name", &reference.name), ("key", &reference.key)] {
            if value.is_empty() || value.len() > 253 {
                let found = format!("{} characters", value.chars().count());
                self.fail(&format!("{path}.{field}"), found, "1 to 253 characters");
            }
        }
    }
}

/// Whether a text can be a part of a name: letters and digits at both ends.
fn is_label(text: &str) -> bool {
    let edge = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let bytes = text.as_bytes();
    let inside = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inside)
}

/// Reads `1h30m`, `90m`, `45s`; each unit at most once, in this order.
fn parse_duration(text: &str) -> Option<SignedDuration> {
    let mut rest = text;
    let mut total: i64 = 0;
    for (unit, seconds_each) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((digits, after)) = rest.split_once(unit) {
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let amount: i64 = digits.parse().ok()?;
            total = total.checked_add(amount.checked_mul(seconds_each)?)?;
            rest = after;
        }
    }
    (rest.is_empty() && !text.is_empty()).then(|| SignedDuration::from_secs(total))
}

fn seconds(duration: SignedDuration) -> String {
    format!("{duration:#}")
}
