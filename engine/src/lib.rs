//! What the API processes and the operator share: sale rules, the backends, recovery, selling and
//! administration of sales.
//!
//! Guarantees: Redis decides fast; Postgres is the truth. No behaviour of Redis (lost writes on
//! failover, `FLUSHALL`, an old replica) sells an item twice, breaks a limit or changes an outcome
//! that was answered: it may only cost latency. The engine knows nothing of HTTP or Kubernetes.
//!
//! Layers, each of which uses only those before it: `domain` and `observability`; `redis` and
//! `postgres`; `recovery`; `selling` and `admin`. Beside what this file re-exports, only the three
//! seams are public: [`redis::commands`], [`redis::cluster`] and [`postgres::operations`], for fakes
//! and a simulator; and, hidden, what `cargo xtask budget` counts the instructions of.

mod admin;
#[doc(hidden)]
pub mod budget;
mod certificate_folder;
mod domain;
mod observability;
pub mod postgres;
mod recovery;
pub mod redis;
mod selling;
mod system;

pub use admin::{Admin, AdminError, Closed, KeptUp, OBSERVED_SALES, SeedReport, Settlement};
pub use certificate_folder::read_certificates;
pub use domain::attempt::{Attempt, AttemptOutcome, AttemptRequest, InvalidCheckout, Refusal};
pub use domain::backend_urls::BackendUrls;
pub use domain::cart::{Cart, LoggedCart};
pub use domain::catalog::{Catalog, CatalogError, Item, MAX_ITEMS};
pub use domain::certificates::Certificates;
pub use domain::clock::{Clock, TimeSource, Timer};
pub use domain::code::{CheckoutCode, CodeSuffix};
pub use domain::error::{AddressError, BackendError};
pub use domain::ids::{IdError, ItemId, RequestId, UserId};
pub use domain::lifecycle::{Milestone, SaleRecord};
pub use domain::outcome::{
    Claim, ItemOutcome, ItemResult, ItemResultKind, NothingSold, Outcome, Purchase,
};
pub use domain::random::{Random, RandomSource};
pub use domain::sale::{
    CURRENT_FORMAT, DEFAULT_PARTITIONS, FlashSaleName, Limits, NameError, Sale, SaleId, Window,
};
pub use domain::watermark::{Watermark, Watermarks};
pub use observability::Ambient;
pub use observability::line_limit::LineLimit;
pub use observability::logging::{Logging, LoggingError};
pub use observability::metrics::Metrics;
pub use postgres::address::PostgresAddress;
pub use postgres::migrate;
pub use postgres::operations::Shown;
pub use postgres::pool::PostgresPool;
pub use redis::cluster::{CALL_TIMEOUT, RedisCluster};
pub use selling::browse::{MAX_PAGE, Page, SaleStatus};
pub use selling::checkout::Checkout;
pub use selling::purchase::{NoOrder, Order, ShownCart};
pub use selling::served_sale::ServedSale;
pub use selling::service::{Backends, RedisPing, SellingOptions, SellingService};
pub use system::{SystemClock, SystemRandom};

#[cfg(test)]
mod tests {
    /// The names that `pub use` re-exports.
    fn names(source: &str) -> Vec<&str> {
        let uses = source.split("\npub use ").skip(1);
        let uses = uses.filter_map(|text| text.split(';').next());
        uses.flat_map(|text| match text.split_once('{') {
            Some((_, several)) => several.trim_end_matches('}').split(',').collect(),
            None => vec![text],
        })
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
    }

    #[test]
    fn at_most_eighty_names_are_public() {
        let names = names(include_str!("lib.rs"));
        assert!(names.contains(&"Admin") && names.contains(&"postgres::migrate"));
        assert!(names.len() <= 80, "{} names", names.len());
    }
}
