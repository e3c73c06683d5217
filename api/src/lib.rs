//! The HTTP surface of a sale: it reads parameters, calls the engine and writes responses.
//!
//! Guarantees: every decision about a sale is the engine's. A module uses only modules declared
//! before it in the order `responses`, `readiness`, `endpoints`, `http_server`, `middleware`,
//! `config`, `process`; the other modules use none of these.

mod config;
mod endpoints;
mod http_server;
mod middleware;
mod open_file_limit;
mod panic_log;
mod process;
mod readiness;
mod responses;
mod selling;

pub use config::Config;
pub use endpoints::openapi_service;
pub use http_server::{ConnectionTimeouts, Limits, Listener};
pub use middleware::{AccessLog, RequestMiddleware};
pub use open_file_limit::raise_open_file_limit;
pub use panic_log::log_panics;
pub use process::{ServeError, serve};
pub use readiness::Readiness;
