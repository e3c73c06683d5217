//! What the API processes and the operator share: sale rules, Redis scripts, the Postgres
//! store, seeding, settling and repair.
//!
//! Redis decides fast; Postgres is the truth. No behaviour of Redis (lost writes on failover,
//! `FLUSHALL`, an old replica) sells an item twice, breaks a limit or changes an outcome that
//! was answered: it may only cost latency. The engine knows nothing of HTTP or Kubernetes.

pub mod admin;
pub mod attempts;
pub mod batch;
pub mod browse;
pub mod carts;
pub mod catalog;
pub mod checkout;
pub mod claims;
pub mod code;
pub mod committer;
mod copy;
pub mod domain;
pub mod error;
pub mod feed;
mod follow;
pub mod ids;
pub mod keys;
pub mod metrics;
pub mod open_sale;
pub mod orders;
pub mod postgres;
pub mod purchase;
pub mod record;
pub mod redis_cluster;
pub mod refusals;
pub mod repair;
pub mod restore;
pub mod sale;
pub mod sales;
pub mod settle;
pub mod shop;
pub mod system;
pub mod telemetry;

pub use error::StoreError;
pub use postgres::migrate;
