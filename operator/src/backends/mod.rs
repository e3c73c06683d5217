//! The backends of a FlashSale: URLs of Redis and Postgres, and connections to them.
//!
//! Guarantees: a URL is checked before it is used and never appears in a message; connecting
//! migrates the schema first; FlashSales with the same URLs share a connection, and concurrent
//! callers share an attempt that fails; a Redis that is away leaves Postgres usable.

mod connection;
mod error;
mod urls;

pub use connection::{Backends, Connection, RealConnection, SharedBackends};
pub use error::ActionError;
pub use urls::{CheckedUrls, PostgresUrl, RedisUrl};
