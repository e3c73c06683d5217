//! `flashsale-operator`: carries flash sales out.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use flashsale_operator::local::{self, LocalSettings};
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
        postgres_url: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    // Two TLS libraries bring a provider each; without a choice neither would start. That one
    // was chosen before is no fault.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = tokio::select! {
        outcome = run(Cli::parse().command) => outcome,
        stopped = stop() => stopped.map_err(Into::into),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    match command {
        Command::Local {
            manifest,
            redis_url: redis,
            postgres_url: postgres,
            status_file,
        } => {
            let urls = GivenUrls { redis, postgres };
            local::run(LocalSettings {
                manifest,
                urls,
                status_file,
            })
            .await?;
        }
        Command::Crd => print!("{}", crd::yaml()?),
        Command::Migrate { postgres_url } => flashsale_engine::migrate(&postgres_url).await?,
    }
    Ok(())
}

/// Ctrl-C or SIGTERM. Whatever was being done can be done again.
async fn stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
