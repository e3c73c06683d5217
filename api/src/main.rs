//! `flashsale-api`: serves the sales of one FlashSale.

use std::process::ExitCode;

use clap::Parser;
use flashsale_api::config::Config;
use flashsale_api::{open_files, panics, server};
use flashsale_engine::telemetry::Telemetry;

/// A request makes some dozens of short-lived allocations, which this allocator makes cheaper than
/// that of the C library.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let config = Config::parse();
    // Whichever library speaks TLS first must not choose a provider of its own. A second
    // installation is refused, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let telemetry = match Telemetry::start() {
        Ok(telemetry) => telemetry,
        Err(error) => return fail(&error),
    };
    panics::log_all();
    open_files::allow_all(config.max_connections);
    let mut runtime = match config.worker_threads {
        // One thread has nobody to share its work with, and need not be ready to.
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if config.worker_threads > 1 {
        runtime.worker_threads(config.worker_threads);
    }
    let served = match runtime.enable_all().build() {
        Ok(runtime) => runtime.block_on(server::run(&config, &telemetry)),
        Err(error) => return fail(&error),
    };
    telemetry.flush();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("flashsale-api: {error}");
    ExitCode::FAILURE
}
