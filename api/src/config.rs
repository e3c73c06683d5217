//! The configuration of an API process: flags, each with an environment variable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use flashsale_engine::{BackendUrls, FlashSaleName, SellingOptions};

use crate::http_server::connection_timer::Patience;
use crate::http_server::listener::Limits;

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

    /// The database: postgres://[user:password@]host:port/name.
    #[arg(long, env = "FLASHSALE_POSTGRES_URL", hide_env_values = true)]
    pub postgres_url: String,

    /// Where the public endpoints listen; port 0 takes a free one.
    #[arg(long, env = "FLASHSALE_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// Where /livez, /readyz and /metrics listen; port 0 takes a free one.
    #[arg(
        long,
        env = "FLASHSALE_INTERNAL_LISTEN",
        default_value = "0.0.0.0:9090"
    )]
    pub internal_listen: SocketAddr,

    /// Writes {"public": URL, "internal": URL} to this file once both listen.
    #[arg(long, env = "FLASHSALE_ENDPOINTS_FILE")]
    pub endpoints_file: Option<PathBuf>,

    /// Threads that serve requests; 0 takes one for each core.
    #[arg(long, env = "FLASHSALE_WORKER_THREADS", default_value_t = 0)]
    pub worker_threads: usize,

    /// Connections to Postgres at the most.
    #[arg(long, env = "FLASHSALE_POSTGRES_CONNECTIONS", default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(4..=200))]
    pub postgres_connections: u32,

    /// Client connections at the most; further ones wait to be accepted.
    #[arg(long, env = "FLASHSALE_MAX_CONNECTIONS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// Seconds within which a client has to send its request, and to read its answer, else the
    /// connection closes; what cannot be answered in four fifths of it is answered with 503.
    #[arg(long, env = "FLASHSALE_REQUEST_TIMEOUT_SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub request_timeout_seconds: u64,

    /// Seconds after which a connection without a request closes.
    #[arg(long, env = "FLASHSALE_IDLE_TIMEOUT_SECONDS", default_value_t = 75,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub idle_timeout_seconds: u64,

    /// Seconds between "not ready" and closing the listener on SIGTERM, so that load balancers
    /// see it first.
    #[arg(long, env = "FLASHSALE_DRAIN_SECONDS", default_value_t = 3)]
    pub drain_seconds: u64,

    /// Answered checkout attempts that may wait for Postgres; beyond them checkouts answer 503
    /// (or the attempts are dropped and counted, with attempts: bestEffort).
    #[arg(long, env = "FLASHSALE_ATTEMPTS_BACKLOG", default_value_t = 200_000)]
    pub attempts_backlog: usize,
}

impl Config {
    /// What the engine needs of it.
    pub fn selling(&self) -> SellingOptions {
        SellingOptions {
            flash_sale: self.flash_sale.clone(),
            attempts_backlog: self.attempts_backlog,
        }
    }

    /// Where the backends are.
    pub fn backends(&self) -> BackendUrls {
        BackendUrls {
            redis: self.redis_url.clone(),
            postgres: self.postgres_url.clone(),
            postgres_connections: self.postgres_connections,
        }
    }

    /// Limits on the connections of clients.
    pub fn limits(&self) -> Limits {
        Limits {
            max_connections: self.max_connections,
            patience: Patience {
                request: self.request_timeout(),
                idle: Duration::from_secs(self.idle_timeout_seconds),
            },
        }
    }

    /// How long an answer may take.
    pub fn answer_within(&self) -> Duration {
        self.request_timeout() * 4 / 5
    }

    /// How long requests on their way have to finish after the listener closed: longer than
    /// any of them may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_seconds)
    }
}
