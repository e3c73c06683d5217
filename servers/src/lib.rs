//! Real servers for tests, the demo and benches: Postgres, PgBouncer and Redis Cluster
//! in a temporary folder on free loopback ports.
//!
//! Promises:
//! - No process and no file stays behind, whether a value is dropped, the
//!   program panics, or gets Ctrl-C, SIGTERM or SIGKILL: a [`Guard`] outlives it.
//! - A missing server program is an error that names its Debian package, never a
//!   skipped test.
//! - Nothing listens on anything but 127.0.0.1.
//!
//! The API is blocking. From asynchronous code call it inside
//! `tokio::task::spawn_blocking` (dropping a server blocks too, for some
//! milliseconds).
//!
//! ```no_run
//! use flashsale_servers::{Postgres, RedisCluster};
//!
//! let postgres = Postgres::start()?;
//! let database = postgres.create_database("orders")?;
//! let redis = RedisCluster::start(3, 3)?;
//! println!("{database} {}", redis.url());
//! # Ok::<(), flashsale_servers::ServersError>(())
//! ```

mod account;
mod certificates;
mod error;
mod go_programs;
mod guard;
mod kube_api;
mod pgbouncer;
mod ports;
mod postgres;
mod postgres_tls;
mod process;
mod programs;
mod redis_call;
mod redis_cluster;
mod redis_node;
mod suspended_postgres;
mod wait;

pub use certificates::{CertificateFiles, TestCertificates};
pub use error::ServersError;
pub use go_programs::{cache_folder, go_program};
pub use guard::Guard;
pub use kube_api::KubeApi;
pub use pgbouncer::PgBouncer;
pub use postgres::{Postgres, PostgresSettings, query};
pub use process::{Launch, Process, Signal};
pub use programs::{in_path, openssl, pgbouncer, postgres_programs, redis_server};
pub use redis_cluster::RedisCluster;
pub use redis_node::RestartData;
pub use suspended_postgres::SuspendedPostgres;
