//! Real servers for tests, the demo and benches: Postgres and Redis Cluster in a
//! temporary folder on free loopback ports.
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
mod error;
mod go_programs;
mod guard;
mod kube_api;
mod ports;
mod postgres;
mod process;
mod programs;
mod redis_call;
mod redis_cluster;
mod redis_node;
mod wait;

pub use error::ServersError;
pub use go_programs::{cache_folder, go_program};
pub use guard::Guard;
pub use kube_api::KubeApi;
pub use postgres::{Postgres, PostgresSettings, query};
pub use process::{Launch, Process, Signal};
pub use programs::{in_path, openssl, postgres_programs, redis_server};
pub use redis_cluster::RedisCluster;
pub use redis_node::RestartData;
