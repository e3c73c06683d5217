//! The two ports of an API process, from start to drained end.
//!
//! Guarantees: both answer from the start; until the backends are reached the public one answers 503
//! to what needs them. At the end readiness ends first, then no request that was sent is dropped.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flashsale_engine::{Ambient, BackendError, Backends, Clock, Logging, Metrics, Random};
use poem::endpoint::make_sync;
use poem::web::Html;
use poem::{Endpoint, EndpointExt, Response, Route, get};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::Selling;
use crate::config::Config;
use crate::endpoints::{self, internal_port as internal};
use crate::http_server::connection_timer::Patience;
use crate::http_server::listener::{Limits, Listener};
use crate::middleware::Observe;
use crate::middleware::access_log::AccessLog;
use crate::readiness::Readiness;

/// Between attempts to reach the backends at the start.
const CONNECT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long claims and attempts on their way may take at the end.
const SETTLE_LIMIT: Duration = Duration::from_secs(15);

/// Probes come from few places and are quick.
const INTERNAL_LIMITS: Limits = Limits {
    max_connections: 256,
    patience: Patience {
        request: Duration::from_secs(10),
        idle: Duration::from_secs(75),
    },
};

/// How long a probe on its way may take at the end.
const INTERNAL_FINISH: Duration = Duration::from_millis(200);

/// Why an API process ended other than by a signal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A listener.
    #[error("cannot listen at {address}: {source}; expected a free address (port 0 takes one)")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A URL that will never work.
    #[error(transparent)]
    Store(BackendError),
    /// Anything of the operating system.
    #[error("{what}: {source}")]
    Os {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Metrics could not be set up.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Serves until SIGTERM or SIGINT, then drains.
pub async fn run(
    config: &Config,
    logging: &Logging,
    (clock, random): (Clock, Random),
) -> Result<(), ServeError> {
    let stopped = stop_signals()?;
    let public = listen(config.listen, config.limits())?;
    let internal = listen(config.internal_listen, INTERNAL_LIMITS)?;
    if let Some(file) = &config.endpoints_file {
        write_endpoints(file, &public, &internal).map_err(os("writing the endpoints file"))?;
    }
    let readiness = Arc::new(Readiness::new(Ambient {
        metrics: Arc::new(Metrics::new()?),
        clock,
        random,
    }));

    // Probes are answered before the backends are reached and until the very end, so that "not
    // ready" is never "not there".
    let (end_internal, mut internal_ended) = watch::channel(false);
    let probes = internal::routes(readiness.clone());
    let probing = tokio::spawn(async move {
        let end = async {
            let _ = internal_ended.wait_for(|ended| *ended).await;
        };
        internal.serve(probes, end, INTERNAL_FINISH).await;
    });

    let mut failure = None;
    let end = async {
        // Errors of the signals would mean that nobody can signal any more: end then, too.
        let mut signalled = stopped.clone();
        tokio::select! {
            _ = signalled.wait_for(|stopped| *stopped) => {}
            error = open(config, &readiness) => failure = Some(error),
        }
        readiness.drain();
        // A process that was never ready has nothing to drain.
        if readiness.selling().is_some() {
            tracing::info!(drain_seconds = config.drain_seconds, "draining");
            tokio::time::sleep(Duration::from_secs(config.drain_seconds)).await;
        }
    };
    let routes = routes(config, &readiness, logging);
    public.serve(routes, end, config.request_timeout()).await;
    if let Some(selling) = readiness.selling()
        && !selling.stop(SETTLE_LIMIT).await
    {
        tracing::warn!("ended before everything was settled: other processes settle the rest");
    }
    let _ = end_internal.send(true);
    let _ = probing.await;
    failure.map_or(Ok(()), Err)
}

fn routes(
    config: &Config,
    readiness: &Arc<Readiness>,
    logging: &Logging,
) -> impl Endpoint<Output = Response> + use<> {
    let service = endpoints::service(readiness.clone());
    let page = service.swagger_ui_html();
    Route::new()
        .at("/docs", get(make_sync(move |_| Html(page.clone()))))
        .at("/openapi.json", get(service.spec_endpoint()))
        .nest_no_strip("/", service)
        .with(Observe {
            readiness: readiness.clone(),
            access_log: AccessLog::new(logging.clone(), readiness.ambient().clock.clone()),
            answer_within: config.answer_within(),
        })
}

fn os(what: &'static str) -> impl Fn(std::io::Error) -> ServeError {
    move |source| ServeError::Os { what, source }
}

fn listen(address: std::net::SocketAddr, limits: Limits) -> Result<Listener, ServeError> {
    Listener::bind(address, limits).map_err(|source| ServeError::Listen { address, source })
}

/// Connects to the backends, which may come up after this process, and starts selling. Ends only
/// with an error that will not go away.
async fn open(config: &Config, readiness: &Readiness) -> ServeError {
    loop {
        match connect(config, readiness.ambient()).await {
            Ok(selling) => {
                readiness.open(selling);
                return std::future::pending().await;
            }
            Err(error @ BackendError::Url { .. }) => return ServeError::Store(error),
            Err(error) => {
                readiness.note_failure(&error);
                tracing::warn!(error = %error, "backends not reached yet; trying again");
            }
        }
        tokio::time::sleep(CONNECT_RETRY_AFTER).await;
    }
}

async fn connect(config: &Config, ambient: &Ambient) -> Result<Arc<Selling>, BackendError> {
    let backends = Backends::connect(&config.backends(), ambient).await?;
    Selling::start(&config.selling(), backends, ambient).await
}

fn stop_signals() -> Result<watch::Receiver<bool>, ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(os("SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(os("SIGINT"))?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = stop.send(true);
        // Until everybody has seen it.
        stop.closed().await;
    });
    Ok(stopped)
}

fn write_endpoints(file: &Path, public: &Listener, internal: &Listener) -> std::io::Result<()> {
    let url = |listener: &Listener| listener.address().map(|a| format!("http://{a}"));
    let endpoints = serde_json::json!({"public": url(public)?, "internal": url(internal)?});
    let unfinished = file.with_extension("unfinished");
    std::fs::write(&unfinished, endpoints.to_string())?;
    std::fs::rename(unfinished, file)
}
