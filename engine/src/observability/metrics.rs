//! Prometheus metrics of a process, in a registry of its own.
//!
//! The names are those of the system that flashsale follows, so that its dashboards keep
//! working; what they did not have is added below them. No user, item or code is ever a
//! label. Handles of labelled children are kept, because looking one up hashes and locks.

use std::collections::HashMap;
use std::time::Duration;

use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry, TextEncoder,
};

use crate::domain::attempt::Refusal;
use crate::domain::outcome::NothingSold;
use crate::observability::postgres_state::PostgresState;
use crate::observability::redis_nodes::RedisNodeMetrics;

/// Redis scripts and commands that are timed, each a value of the label `command`.
pub(crate) const REDIS_COMMANDS: [&str; 12] = [
    "add", "freeze", "claim", "repair", "restore", "seed", "close", "snapshot", "log", "feed",
    "settle", "registry",
];

/// Postgres statements that are timed, each a value of the label `query`.
pub(crate) const QUERIES: [&str; 8] = [
    "commit_orders",
    "resolve_order",
    "read_order",
    "log_attempts",
    "read_sales",
    "read_items",
    "seed",
    "audit",
];

/// Why a checkout or a purchase failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureReason {
    /// The sale's rules refuse it.
    Refused(Refusal),
    /// The code bought nothing.
    NothingSold(NothingSold),
    /// There is no such code.
    UnknownCode,
    /// There is no such sale.
    UnknownSale,
    /// The request is not one.
    Invalid,
    /// A backend is away, or a queue is full.
    Unavailable,
    /// A fault of this program.
    Internal,
}

/// Declares the values of the label `reason`, with their number and their list.
macro_rules! labels {
    ($($variant:ident = $word:literal,)*) => {
        /// The label `reason` of the failure counters.
        #[derive(Debug, Clone, Copy)]
        enum FailureLabel {
            $($variant,)*
        }

        impl FailureLabel {
            /// The words, in the order of the variants.
            const WORDS: &'static [&'static str] = &[$($word,)*];
        }
    };
}

labels! {
    AlreadySold = "already_sold",
    LimitReached = "limit_reached",
    SoldOut = "sold_out",
    CartFull = "cart_full",
    SaleNotActive = "sale_not_active",
    UnknownItem = "unknown_item",
    ItemOfAnotherSale = "item_of_another_sale",
    UnknownCode = "unknown_code",
    Invalid = "invalid",
    Unavailable = "unavailable",
    UnknownSale = "unknown_sale",
    Internal = "internal",
}

impl FailureReason {
    const fn label(self) -> FailureLabel {
        match self {
            Self::Refused(refusal) => match refusal {
                Refusal::SaleNotActive => FailureLabel::SaleNotActive,
                Refusal::UnknownItem => FailureLabel::UnknownItem,
                Refusal::ItemOfAnotherSale => FailureLabel::ItemOfAnotherSale,
                Refusal::AlreadySold => FailureLabel::AlreadySold,
                Refusal::SoldOut => FailureLabel::SoldOut,
                Refusal::LimitReached => FailureLabel::LimitReached,
                Refusal::CartFull => FailureLabel::CartFull,
            },
            Self::NothingSold(NothingSold::AlreadySold) => FailureLabel::AlreadySold,
            Self::NothingSold(NothingSold::LimitReached) => FailureLabel::LimitReached,
            Self::UnknownCode => FailureLabel::UnknownCode,
            Self::UnknownSale => FailureLabel::UnknownSale,
            Self::Invalid => FailureLabel::Invalid,
            Self::Unavailable => FailureLabel::Unavailable,
            Self::Internal => FailureLabel::Internal,
        }
    }
}

const SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.5, 5.0,
];

/// A count of attempts, successes and failures by reason.
#[derive(Debug)]
pub struct Tally {
    /// Calls that were answered.
    pub attempts: IntCounter,
    /// Calls that did what was asked.
    pub success: IntCounter,
    /// One for each [`FailureLabel`], in the order of its variants.
    failure: Vec<IntCounter>,
}

impl Tally {
    /// Counts one failure.
    pub fn fail(&self, reason: FailureReason) {
        self.failure[reason.label() as usize].inc();
    }
}

/// All metrics of a process. Clone the `Arc`, not the struct.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// `http_request_duration_seconds{method,endpoint,status}`.
    pub http_duration: HistogramVec,
    /// `http_requests_total{method,endpoint,status}`.
    pub http_requests: IntCounterVec,
    /// `sale_items_total`: the size of the active sale's catalogue.
    pub sale_items_total: IntGauge,
    /// `sale_items_sold`: what the active sale has sold.
    pub sale_items_sold: IntGauge,
    /// `sale_items_sold_total`: what this process has sold since its start.
    pub sale_items_sold_total: IntCounter,
    /// `checkout_attempts_total`, `checkout_success_total`, `checkout_failure_total{reason}`.
    pub checkout: Tally,
    /// `purchase_attempts_total`, `purchase_success_total`, `purchase_failure_total{reason}`.
    pub purchase: Tally,
    db_query: HashMap<&'static str, Histogram>,
    /// `db_connections_active`.
    pub db_active: IntGauge,
    /// `db_connections_idle`.
    pub db_idle: IntGauge,
    redis_command: HashMap<&'static str, Histogram>,
    /// Whether Postgres answers.
    pub postgres: PostgresState,
    /// What the router of Redis counts.
    pub redis_nodes: RedisNodeMetrics,
    /// `purchase_commit_batch_size`: claims that shared one commit.
    pub commit_batch_size: Histogram,
    /// `purchase_commit_wait_seconds`: from the claim to its commit.
    pub commit_wait: Histogram,
    /// `settle_lag_seconds`: the age of the oldest answered attempt that Postgres does not have.
    pub settle_lag: Gauge,
    /// `feed_lag_seconds`: the age of the newest event when the feed applied it.
    pub view_lag: Gauge,
    /// `attempts_unsettled`: answered attempts that Postgres does not have yet.
    pub attempts_unsettled: IntGauge,
    /// `attempts_dropped_total`: attempts dropped in a sale with `attempts: bestEffort`.
    pub attempts_dropped: IntCounter,
    /// `claims_recovered_total`: claims of other processes that this one committed.
    pub claims_recovered: IntCounter,
    /// `attempts_recovered_total`: attempts of other processes that this one settled.
    pub attempts_recovered: IntCounter,
    /// `outcome_repairs_total`: outcomes that Postgres corrected.
    pub corrections: IntCounter,
}

impl Metrics {
    /// Registers everything.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let build = Build(&registry);
        Ok(Self {
            http_duration: build.histograms(
                "http_request_duration_seconds",
                "Time to answer a request",
                &["method", "endpoint", "status"],
            )?,
            http_requests: build.counters(
                "http_requests_total",
                "Answered requests",
                &["method", "endpoint", "status"],
            )?,
            sale_items_total: build.gauge("sale_items_total", "Items of the active sale")?,
            sale_items_sold: build.gauge("sale_items_sold", "Sold items of the active sale")?,
            sale_items_sold_total: build
                .counter("sale_items_sold_total", "Items sold by this process")?,
            checkout: build.tally("checkout")?,
            purchase: build.tally("purchase")?,
            db_query: build.timed("db_query_duration_seconds", "query", &QUERIES)?,
            db_active: build.gauge("db_connections_active", "Connections in use")?,
            db_idle: build.gauge("db_connections_idle", "Connections at rest")?,
            redis_command: build.timed(
                "redis_command_duration_seconds",
                "command",
                &REDIS_COMMANDS,
            )?,
            postgres: PostgresState::new(&registry)?,
            redis_nodes: RedisNodeMetrics::new(&registry)?,
            commit_batch_size: build.histogram(
                "purchase_commit_batch_size",
                "Claims that shared one commit",
                vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0],
            )?,
            commit_wait: build.histogram(
                "purchase_commit_wait_seconds",
                "From the claim to its commit",
                SECONDS.to_vec(),
            )?,
            settle_lag: build.float_gauge(
                "settle_lag_seconds",
                "Age of the oldest answered attempt that Postgres does not have",
            )?,
            view_lag: build.float_gauge(
                "feed_lag_seconds",
                "Age of the newest event when the feed applied it",
            )?,
            attempts_unsettled: build.gauge(
                "attempts_unsettled",
                "Answered attempts that Postgres does not have yet",
            )?,
            attempts_dropped: build.counter(
                "attempts_dropped_total",
                "Attempts dropped because their backlog was full (bestEffort)",
            )?,
            claims_recovered: build.counter(
                "claims_recovered_total",
                "Claims of other processes that this one committed",
            )?,
            attempts_recovered: build.counter(
                "attempts_recovered_total",
                "Attempts of other processes that this one settled",
            )?,
            corrections: build
                .counter("outcome_repairs_total", "Outcomes that Postgres corrected")?,
            registry,
        })
    }

    /// The text exposition of all metrics.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Counts a call of `route` that a fault of this program kept from its answer.
    pub fn count_internal(&self, route: &str) {
        let tally = match route {
            "/checkout" => &self.checkout,
            "/purchase" => &self.purchase,
            _ => return,
        };
        tally.attempts.inc();
        tally.fail(FailureReason::Internal);
    }

    pub(crate) fn time_redis(&self, command: &str, took: Duration) {
        if let Some(histogram) = self.redis_command.get(command) {
            histogram.observe(took.as_secs_f64());
        }
    }

    pub(crate) fn time_query(&self, query: &str, took: Duration) {
        if let Some(histogram) = self.db_query.get(query) {
            histogram.observe(took.as_secs_f64());
        }
    }
}

/// Builds metrics and registers them.
struct Build<'a>(&'a Registry);

impl Build<'_> {
    fn keep<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        collector: C,
    ) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.keep(IntGauge::new(name, help)?)
    }

    fn float_gauge(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        self.keep(Gauge::new(name, help)?)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.keep(IntCounter::new(name, help)?)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.keep(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: Vec<f64>,
    ) -> Result<Histogram, prometheus::Error> {
        let opts = HistogramOpts::new(name, help).buckets(buckets);
        self.keep(Histogram::with_opts(opts)?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<HistogramVec, prometheus::Error> {
        let opts = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        self.keep(HistogramVec::new(opts, labels)?)
    }

    fn timed(
        &self,
        name: &str,
        label: &str,
        values: &[&'static str],
    ) -> Result<HashMap<&'static str, Histogram>, prometheus::Error> {
        let family = self.histograms(name, "Time of one call", &[label])?;
        Ok(values
            .iter()
            .map(|value| (*value, family.with_label_values(&[*value])))
            .collect())
    }

    fn tally(&self, what: &str) -> Result<Tally, prometheus::Error> {
        let failure = self.counters(
            &format!("{what}_failure_total"),
            "Calls that failed, by reason",
            &["reason"],
        )?;
        Ok(Tally {
            attempts: self.counter(&format!("{what}_attempts_total"), "Answered calls")?,
            success: self.counter(&format!("{what}_success_total"), "Calls that succeeded")?,
            failure: FailureLabel::WORDS
                .iter()
                .map(|word| failure.with_label_values(&[*word]))
                .collect(),
        })
    }
}
