//! The HTTP surface: parameters in, engine, answers out. It decides nothing about a sale.

pub mod config;
pub mod endpoints;
pub mod http_server;
pub mod middleware;
pub mod open_file_limit;
pub mod panic_log;
pub mod process;
pub mod readiness;
pub mod responses;

/// The selling service on real backends.
pub type Selling = flashsale_engine::SellingService<
    flashsale_engine::RedisCluster,
    flashsale_engine::PostgresPool,
>;
