//! The HTTP surface: parameters in, engine, answers out. It decides nothing about a sale.

pub mod access_log;
pub mod checkout;
pub mod config;
pub mod connection;
pub mod endpoints;
pub mod faults;
pub mod health;
pub mod internal;
pub mod observe;
pub mod open_files;
pub mod panics;
pub mod params;
pub mod problem;
pub mod purchase;
pub mod readiness;
pub mod routes;
pub mod sales;
pub mod serve;
pub mod server;
pub mod traffic;

/// The selling service on real backends.
pub type Selling = flashsale_engine::SellingService<
    flashsale_engine::RedisCluster,
    flashsale_engine::PostgresPool,
>;
