//! `flashsale-operator`: carries flash sales out.

use std::error::Error;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use flashsale_engine::telemetry::Telemetry;
use flashsale_operator::controller::{self, RunSettings};
use flashsale_operator::local::{self, LocalSettings};
use flashsale_operator::backends::PostgresUrl;
use flashsale_operator::{crd, manifest::GivenUrls};
use tokio::signal::unix::{SignalKind, signal};

/// Carries flash sales out: prepares, closes and settles them as their schedule says.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Carries out the FlashSale of one manifest, without Kubernetes, until it is stopped.
    Local {
        /// A file of YAML with one FlashSale; it may hold the Secrets and ConfigMaps that the
        /// FlashSale refers to, as further documents.
        #[arg(long, value_name = "FILE")]
        manifest: PathBuf,
        /// Nodes of the Redis Cluster, divided by commas; instead of spec.redis.
        #[arg(
            long,
            value_name = "URL",
            env = "FLASHSALE_REDIS_URL",
            hide_env_values = true
        )]
        redis_url: Option<String>,
        /// The Postgres database; instead of spec.postgres.
        #[arg(
            long,
            value_name = "URL",
            env = "FLASHSALE_POSTGRES_URL",
            hide_env_values = true
        )]
        postgres_url: Option<String>,
        /// Where to write the status, as JSON.
        #[arg(long, value_name = "FILE")]
        status_file: Option<PathBuf>,
    },
    /// Carries out the FlashSales of a Kubernetes cluster until it is stopped.
    Run(Box<RunSettings>),
    /// Prints the definition of the custom resource.
    Crd,
    /// Brings the schema of a Postgres database up to date.
    Migrate {
        /// The Postgres database.
        #[arg(
            long,
            value_name = "URL",
            env = "FLASHSALE_POSTGRES_URL",
            hide_env_values = true
        )]
        postgres_url: Option<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    // Two TLS libraries bring a provider each; without a choice neither would start. That one
    // was chosen before is no fault.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody listens, the exit code still tells.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Local {
            manifest,
            redis_url: redis,
            postgres_url: postgres,
            status_file,
        } => {
            let urls = GivenUrls { redis, postgres };
            let settings = LocalSettings {
                manifest,
                urls,
                status_file,
            };
            logged(local::run(settings)).await
        }
        Command::Run(settings) => {
            let log = Logging::start_on_stderr()?;
            let outcome = kubernetes::run(*settings, stopped()).await;
            log.flush();
            Ok(outcome?)
        }
        Command::Crd => print(&crd::yaml()?),
        Command::Migrate { postgres_url } => {
            let url = PostgresUrl::parse("--postgres-url", &postgres_url.unwrap_or_default())?;
            logged(flashsale_engine::migrate(url.as_str())).await
        }
    }
}

/// Does some work, until it is done or the process is told to stop, with the log on stderr.
async fn logged<E: Error + 'static>(
    work: impl Future<Output = Result<(), E>>,
) -> Result<(), Box<dyn Error>> {
    let log = Logging::start_on_stderr()?;
    let outcome = tokio::select! {
        outcome = work => outcome.map_err(Into::into),
        stopped = stop() => stopped.map_err(Into::into),
    };
    log.flush();
    outcome
}

/// Whoever reads may have read enough.
fn print(text: &str) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The same, where a signal that cannot be listened for never comes.
async fn stopped() {
    if let Err(error) = stop().await {
        tracing::error!(%error, "signals cannot be listened for");
        std::future::pending().await
    }
}

/// Ctrl-C or SIGTERM. Whatever was being done can be done again.
async fn stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
