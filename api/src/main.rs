//! `flashsale-api`: serves the sales of one FlashSale.

use std::process::ExitCode;

use clap::Parser;
use flashsale_api::{Config, log_panics, raise_open_file_limit, serve};
use flashsale_engine::{Logging, SystemClock, SystemRandom};

/// A request makes some dozens of short-lived allocations, which this allocator makes cheaper than
/// that of the C library.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let config = Config::parse();
    // Without this call a library could choose another TLS provider. An error means that a
    // provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let logging = match Logging::start(&SystemClock::clock()) {
        Ok(logging) => logging,
        Err(error) => return fail(&error),
    };
    log_panics();
    raise_open_file_limit(config.max_connections);
    let mut runtime = match config.worker_threads {
        // The scheduler of a single thread has no queues to share.
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if config.worker_threads > 1 {
        runtime.worker_threads(config.worker_threads);
    }
    let time_and_randomness = (SystemClock::clock(), SystemRandom::random());
    let served = match runtime.enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(&config, &logging, time_and_randomness)),
        Err(error) => return fail(&error),
    };
    logging.flush();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("flashsale-api: {error}");
    ExitCode::FAILURE
}
