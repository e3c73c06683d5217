//! The configuration of an API process: flags, each with an environment variable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use flashsale_engine::{
    AddressError, BackendUrls, Certificates, FlashSaleName, SellingOptions, read_certificates,
};

use crate::http_server::{ConnectionTimeouts, Limits};

/// Serves the sales of one FlashSale over HTTP.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Config {
    /// The FlashSale, as <namespace>.<name>.
    #[arg(long, env = "FLASHSALE_NAME")]
    pub flash_sale: FlashSaleName,

    /// Nodes of the Redis Cluster, comma separated: redis://[user:password@]host:port.
    #[arg(long, env = "FLASHSALE_REDIS_URL", hide_env_values = true)]
    pub redis_url: String,

    /// A folder with ca.crt, tls.crt and tls.key for rediss://, each of which may be missing.
    #[arg(long, value_name = "DIR", env = "FLASHSALE_REDIS_CERTIFICATES")]
    pub redis_certificates: Option<PathBuf>,

    /// The database: postgres://[user:password@]host:port/name.
    #[arg(long, env = "FLASHSALE_POSTGRES_URL", hide_env_values = true)]
    pub postgres_url: String,

    /// The same folder for Postgres; with ca.crt the name of the server is verified too, unless
    /// the URL has another sslmode.
    #[arg(long, value_name = "DIR", env = "FLASHSALE_POSTGRES_CERTIFICATES")]
    pub postgres_certificates: Option<PathBuf>,

    /// The address of the public endpoints; port 0 takes a free port.
    #[arg(long, env = "FLASHSALE_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// The address of /livez, /readyz and /metrics; port 0 takes a free port.
    #[arg(
        long,
        env = "FLASHSALE_INTERNAL_LISTEN",
        default_value = "0.0.0.0:9090"
    )]
    pub internal_listen: SocketAddr,

    /// Writes {"public": URL, "internal": URL} to this file once both ports listen.
    #[arg(long, env = "FLASHSALE_ENDPOINTS_FILE")]
    pub endpoints_file: Option<PathBuf>,

    /// Threads that serve requests; 0 takes one for each core.
    #[arg(long, env = "FLASHSALE_WORKER_THREADS", default_value_t = 0)]
    pub worker_threads: usize,

    /// The maximum of connections to Postgres.
    #[arg(long, env = "FLASHSALE_POSTGRES_CONNECTIONS", default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(4..=200))]
    pub postgres_connections: u32,

    /// The maximum of client connections; further connections wait in the backlog.
    #[arg(long, env = "FLASHSALE_MAX_CONNECTIONS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// Seconds for a client to send a request and to read its response, else the connection
    /// closes; a request without a response after four fifths of this time gets 503.
    #[arg(long, env = "FLASHSALE_REQUEST_TIMEOUT_SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub request_timeout_seconds: u64,

    /// Seconds after which a connection without a request closes.
    #[arg(long, env = "FLASHSALE_IDLE_TIMEOUT_SECONDS", default_value_t = 75,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub idle_timeout_seconds: u64,

    /// Seconds between "not ready" and the close of the listener on SIGTERM, so that load
    /// balancers remove the process first.
    #[arg(long, env = "FLASHSALE_DRAIN_SECONDS", default_value_t = 3)]
    pub drain_seconds: u64,

    /// The maximum of checkout attempts that wait for Postgres; beyond it checkouts get 503 (with
    /// attempts: bestEffort the attempts are dropped and counted instead).
    #[arg(long, env = "FLASHSALE_ATTEMPTS_BACKLOG", default_value_t = 200_000)]
    pub attempts_backlog: usize,

    /// Lines of the access log in a second for requests that were answered within 200 ms and with a
    /// status below 500. Others always have a line. A line says how many were left out before it.
    #[arg(
        long,
        value_name = "N",
        env = "FLASHSALE_ACCESS_LOG_LINES_PER_SECOND",
        default_value_t = 100
    )]
    pub access_log_lines_per_second: u32,
}

impl Config {
    /// The options of the selling service.
    pub fn selling(&self) -> SellingOptions {
        SellingOptions {
            flash_sale: self.flash_sale.clone(),
            attempts_backlog: self.attempts_backlog,
        }
    }

    /// The addresses of the backends; reads the folders of certificates.
    pub fn backends(&self) -> Result<BackendUrls, AddressError> {
        let read = |folder: &Option<PathBuf>| match folder {
            Some(folder) => read_certificates(folder),
            None => Ok(Certificates::NONE),
        };
        Ok(BackendUrls {
            redis: self.redis_url.clone(),
            redis_certificates: read(&self.redis_certificates)?,
            postgres: self.postgres_url.clone(),
            postgres_certificates: read(&self.postgres_certificates)?,
        })
    }

    /// Limits on the connections of clients.
    pub fn limits(&self) -> Limits {
        Limits {
            max_connections: self.max_connections,
            timeouts: ConnectionTimeouts {
                request: self.request_timeout(),
                idle: Duration::from_secs(self.idle_timeout_seconds),
            },
        }
    }

    /// The longest time between the head of a request and its response.
    pub fn response_limit(&self) -> Duration {
        self.request_timeout() * 4 / 5
    }

    /// The time for requests in progress after the listener has closed: longer than the limit of
    /// a response.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_seconds)
    }
}
