//! The FlashSale and its `spec`.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::api_pods::ApiSpec;
use super::status::FlashSaleStatus;

/// What to sell, when, to whom how much, and with how many API pods.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "flashsale.dev",
    version = "v1alpha1",
    kind = "FlashSale",
    namespaced,
    status = "FlashSaleStatus",
    shortname = "fs",
    category = "all",
    derive = "PartialEq",
    doc = "A FlashSale sells a catalogue of unique items, each at most once, in windows of time that a schedule sets.",
    validation = Rule::new("self.metadata.name.size() <= 200")
        .message("metadata.name must have at most 200 characters: the ids of sales hold it"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.activeSale) || self.spec.redis == oldSelf.spec.redis")
        .message("spec.redis must not change while a sale is open (status.activeSale): change it after the sale has ended")
        .field_path(".spec.redis"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.activeSale) || self.spec.postgres == oldSelf.spec.postgres")
        .message("spec.postgres must not change while a sale is open (status.activeSale): change it after the sale has ended")
        .field_path(".spec.postgres"),
    scale(
        spec_replicas_path = ".spec.api.replicas.sale",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule"),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Sold",
        type_ = "string",
        json_path = ".status.activeSale.soldOfTotal",
        description = "Items sold of items for sale, in the active sale"
    ),
    printcolumn(
        name = "Next",
        type_ = "string",
        json_path = ".status.nextSale.startsAt",
        description = "When the next sale opens"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        priority = 1
    ),
    printcolumn(
        name = "Start At",
        type_ = "string",
        json_path = ".spec.startAt",
        priority = 1
    ),
    printcolumn(
        name = "Time Zone",
        type_ = "string",
        json_path = ".spec.timeZone",
        priority = 1
    ),
    printcolumn(
        name = "Duration",
        type_ = "string",
        json_path = ".spec.duration",
        priority = 1
    ),
    printcolumn(
        name = "Replicas",
        type_ = "integer",
        json_path = ".status.replicas",
        priority = 1
    ),
    printcolumn(
        name = "Active Sale",
        type_ = "string",
        json_path = ".status.activeSale.id",
        priority = 1
    )
)]
#[x_kube(
    validation = Rule::new("has(self.schedule) != has(self.startAt)")
        .message("exactly one of schedule and startAt is expected"),
    validation = Rule::new("!has(self.limits.total) || !has(self.catalog.generate) || self.limits.total <= self.catalog.generate.count")
        .message("limits.total must not exceed catalog.generate.count")
        .field_path(".limits.total"),
)]
#[serde(rename_all = "camelCase")]
pub struct FlashSaleSpec {
    /// When sales open, as a cron expression of five fields (minute, hour, day of month, month,
    /// day of week) or a macro such as @hourly, in `timeZone`. A sale opens at every moment whose
    /// local time matches: a time that a clock change skips opens none, one that it repeats opens
    /// two. Exactly one of `schedule` and `startAt` is set. No default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub schedule: Option<String>,

    /// When the one and only sale opens, as an RFC 3339 time such as 2026-11-27T08:00:00Z.
    /// Exactly one of `schedule` and `startAt` is set. No default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), extend("format" = "date-time"))]
    pub start_at: Option<String>,

    /// The time zone of `schedule`, by its IANA name, such as Europe/Berlin. Default: Etc/UTC.
    #[serde(default = "default_time_zone")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,

    /// How long a sale is open, in hours, minutes and seconds, such as 1h, 90m or 1h30m; at most
    /// 744h, and at most the time between two starts. Default: 1h.
    #[serde(default = "default_duration")]
    #[schemars(
        length(min = 2, max = 20),
        regex(pattern = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$")
    )]
    #[x_kube(validation = Rule::new("duration(self) > duration('0s') && duration(self) <= duration('744h')")
        .message("duration must be more than 0s and at most 744h"))]
    pub duration: String,

    /// Opens no further sale while true. A sale that has started goes on to its end; one that is
    /// seeded but has not started is withdrawn. Default: false.
    #[serde(default)]
    pub suspend: bool,

    /// How late a sale may still be opened when its start was missed, in seconds from that start.
    /// Only the latest missed start counts, and a late sale still ends on time. Default: until the
    /// window of the sale ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2678400))]
    pub starting_deadline_seconds: Option<i64>,

    /// How many sales that were held stay in the status, 0 to 100. What they sold stays in
    /// Postgres. Default: 24.
    #[serde(default = "default_successful_sales_history_limit")]
    #[schemars(range(min = 0, max = 100))]
    pub successful_sales_history_limit: i32,

    /// How many sales that could not be held stay in the status, 0 to 100. Default: 3.
    #[serde(default = "default_failed_sales_history_limit")]
    #[schemars(range(min = 0, max = 100))]
    pub failed_sales_history_limit: i32,

    /// What is sold. A sale keeps the catalogue with which it was seeded.
    pub catalog: CatalogSource,

    /// How much is sold, to one user and in all. A sale keeps the limits with which it was
    /// seeded. Default: 10 items for each user, the whole catalogue in all.
    #[serde(default)]
    pub limits: LimitsSpec,

    /// Where Redis Cluster is: a reference to a Secret.
    pub redis: StoreRef,

    /// Where Postgres is: a reference to a Secret.
    pub postgres: StoreRef,

    /// What happens to the log of checkout attempts when Postgres is away so long that its
    /// backlog is full: `exact` refuses checkouts (503) so that every answered attempt is logged,
    /// `bestEffort` goes on, drops attempts and counts them. Default: exact.
    #[serde(default)]
    pub attempts: Attempts,

    /// How long checkout attempts are kept in Postgres, in days, 1 to 3650. Default: 30.
    #[serde(default = "default_attempts_retention_days")]
    #[schemars(range(min = 1, max = 3650))]
    pub attempts_retention_days: i32,

    /// What becomes of the rows that the sales have in Postgres (orders, purchases, attempts) when
    /// the FlashSale is deleted: `Retain` keeps them, `Delete` deletes them too. What Redis holds
    /// is deleted either way. Default: Retain.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// The pods that serve the sale's HTTP API. Default: 2 at rest, 6 during a sale.
    #[serde(default)]
    pub api: ApiSpec,
}

/// What is sold: exactly one of `generate` and `configMapRef`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("has(self.generate) != has(self.configMapRef)")
    .message("exactly one of generate and configMapRef is expected"))]
#[serde(rename_all = "camelCase")]
pub struct CatalogSource {
    /// Makes up items with names and ids. No default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<GenerateCatalog>,

    /// Reads a CSV with the header id,name,image_url from a ConfigMap in the same namespace.
    /// No default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<KeyRef>,
}

/// A catalogue of made-up items.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GenerateCatalog {
    /// How many items, 1 to 1000000. No default.
    #[schemars(range(min = 1, max = 1000000))]
    pub count: i32,
}

/// A key of a Secret or ConfigMap in the namespace of the FlashSale.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct KeyRef {
    /// The name of the object. No default.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,

    /// The key in it whose value is used. No default.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// How much a sale sells.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("!has(self.perCheckout) || self.perCheckout <= self.perUser")
    .message("perCheckout must not exceed perUser")
    .field_path(".perCheckout"))]
#[serde(rename_all = "camelCase")]
pub struct LimitsSpec {
    /// How many items one user may buy in one sale, 1 to 1000. Default: 10.
    #[serde(default = "default_per_user")]
    #[schemars(range(min = 1, max = 1000))]
    pub per_user: i32,

    /// How many items one cart may hold, 1 to 100, at most `perUser`. Default: `perUser`, but at
    /// most 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub per_checkout: Option<i32>,

    /// How many items the sale may sell in all, at most the number of items in the catalogue.
    /// Default: the whole catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000000))]
    pub total: Option<i32>,
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self {
            per_user: default_per_user(),
            per_checkout: None,
            total: None,
        }
    }
}

/// Where a store is.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StoreRef {
    /// The key of a Secret that holds the URL of the store, with user and password. Redis: of one
    /// or more nodes of the cluster, divided by commas. For TLS the same Secret may hold ca.crt, a
    /// private authority, and tls.crt with tls.key, the certificate of the client. No default.
    pub secret_key_ref: KeyRef,
}

/// What happens to checkout attempts when their backlog is full.
#[derive(
    Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq,
)]
#[serde(rename_all = "camelCase")]
pub enum Attempts {
    /// Checkouts are refused, so that every answered attempt is logged.
    #[default]
    Exact,
    /// Checkouts go on; attempts are dropped, and counted.
    BestEffort,
}

/// What becomes of the rows in Postgres when the FlashSale is deleted. The words are those of
/// Kubernetes for the volumes that it reclaims.
#[derive(
    Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq,
)]
pub enum DeletionPolicy {
    /// They stay: orders can be read for longer than the FlashSale is there.
    #[default]
    Retain,
    /// They are deleted.
    Delete,
}

fn default_time_zone() -> String {
    "Etc/UTC".to_owned()
}

fn default_duration() -> String {
    "1h".to_owned()
}

fn default_successful_sales_history_limit() -> i32 {
    24
}

fn default_failed_sales_history_limit() -> i32 {
    3
}

fn default_attempts_retention_days() -> i32 {
    30
}

fn default_per_user() -> i32 {
    10
}
