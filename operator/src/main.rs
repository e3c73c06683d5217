//! `flashsale-operator`: reconciles FlashSales.

use std::error::Error;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use flashsale_engine::{Ambient, Logging, SystemClock, read_certificates};
use flashsale_operator::backends::PostgresUrl;
use flashsale_operator::controller::{self, RunSettings};
use flashsale_operator::crd;
use flashsale_operator::local::manifest::{GivenBackend, GivenBackends};
use flashsale_operator::local::{self, LocalSettings};
use flashsale_operator::planner::FieldError;
use tokio::signal::unix::{SignalKind, signal};

/// Runs flash sales: seeds, closes and settles them on schedule.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the FlashSale of one manifest, without Kubernetes, until it is stopped.
    Local {
        /// A file of YAML with one FlashSale; it may hold the Secrets and ConfigMaps that the
        /// FlashSale refers to, as further documents.
        #[arg(long, value_name = "FILE")]
        manifest: PathBuf,
        /// Nodes of the Redis Cluster, separated by commas; instead of spec.redis.
        #[arg(
            long,
            value_name = "URL",
            env = "FLASHSALE_REDIS_URL",
            hide_env_values = true
        )]
        redis_url: Option<String>,
        /// A folder with ca.crt, tls.crt and tls.key for rediss://, each of which may be missing;
        /// instead of those in the Secret of spec.redis.
        #[arg(long, value_name = "DIR", env = "FLASHSALE_REDIS_CERTIFICATES")]
        redis_certificates: Option<PathBuf>,
        /// The Postgres database; instead of spec.postgres.
        #[arg(
            long,
            value_name = "URL",
            env = "FLASHSALE_POSTGRES_URL",
            hide_env_values = true
        )]
        postgres_url: Option<String>,
        /// The same folder for Postgres, instead of those in the Secret of spec.postgres.
        #[arg(long, value_name = "DIR", env = "FLASHSALE_POSTGRES_CERTIFICATES")]
        postgres_certificates: Option<PathBuf>,
        /// Where to write the status, as JSON.
        #[arg(long, value_name = "FILE")]
        status_file: Option<PathBuf>,
    },
    /// Reconciles the FlashSales of a Kubernetes cluster until it is stopped.
    Run(Box<RunSettings>),
    /// Prints the definition of the custom resource.
    Crd,
    /// Migrates the schema of a Postgres database.
    Migrate {
        /// The Postgres database.
        #[arg(
            long,
            value_name = "URL",
            env = "FLASHSALE_POSTGRES_URL",
            hide_env_values = true
        )]
        postgres_url: Option<String>,
        /// A folder with ca.crt, tls.crt and tls.key, each of which may be missing.
        #[arg(long, value_name = "DIR", env = "FLASHSALE_POSTGRES_CERTIFICATES")]
        postgres_certificates: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    // Two TLS libraries bring a provider each, and neither works without a choice. An error means
    // that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed stderr leaves the exit code.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Local {
            manifest,
            redis_url,
            redis_certificates,
            postgres_url,
            postgres_certificates,
            status_file,
        } => {
            let redis = given(redis_url, "--redis-certificates", redis_certificates)?;
            let postgres = given(
                postgres_url,
                "--postgres-certificates",
                postgres_certificates,
            )?;
            let settings = LocalSettings {
                manifest,
                backends: GivenBackends { redis, postgres },
                status_file,
            };
            with_log(Box::pin(local::run(settings, Ambient::system()?))).await
        }
        Command::Run(settings) => {
            let log = Logging::start_on_stderr(&SystemClock::clock())?;
            // Boxed, like the run from a manifest: the compiler bounds how deep futures nest.
            let run = Box::pin(controller::run(*settings, Ambient::system()?, stopped()));
            let outcome = run.await;
            log.flush();
            Ok(outcome?)
        }
        Command::Crd => print(&crd::yaml()?),
        Command::Migrate {
            postgres_url,
            postgres_certificates,
        } => {
            let url = PostgresUrl::parse("--postgres-url", &postgres_url.unwrap_or_default())?;
            let certificates = given(None, "--postgres-certificates", postgres_certificates)?
                .certificates
                .unwrap_or_default();
            with_log(flashsale_engine::migrate(url.as_str(), &certificates)).await
        }
    }
}

/// What the options of a backend say.
fn given(
    url: Option<String>,
    option: &str,
    certificates: Option<PathBuf>,
) -> Result<GivenBackend, FieldError> {
    let certificates = certificates.map(|folder| read_certificates(&folder));
    let certificates = certificates.transpose().map_err(|error| FieldError {
        path: option.to_owned(),
        found: error.found,
        expected: error.expected,
    })?;
    Ok(GivenBackend { url, certificates })
}

/// Runs until the work is done or a signal stops the process, with the log on stderr.
async fn with_log<E: Error + 'static>(
    work: impl Future<Output = Result<(), E>>,
) -> Result<(), Box<dyn Error>> {
    let log = Logging::start_on_stderr(&SystemClock::clock())?;
    let outcome = tokio::select! {
        outcome = work => outcome.map_err(Into::into),
        stopped = stop() => stopped.map_err(Into::into),
    };
    log.flush();
    outcome
}

/// The reader of a pipe may have closed it.
fn print(text: &str) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// As [`stop`], but without signal handlers it never returns.
async fn stopped() {
    if let Err(error) = stop().await {
        tracing::error!(%error, "the signal handlers cannot be installed");
        std::future::pending().await
    }
}

/// Waits for Ctrl-C or SIGTERM. All work can be repeated.
async fn stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
