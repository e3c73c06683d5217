//! The life of an API process: listen, connect to the backends, serve, drain.
//!
//! Guarantees: both ports respond from the start. Until the backends are connected, endpoints that
//! need them respond with 503. At the end readiness ends first, then no request that a client has
//! sent is dropped.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flashsale_engine::{
    AddressError, Ambient, BackendError, BackendUrls, Backends, Clock, Logging, Metrics, Random,
};
use poem::endpoint::make_sync;
use poem::web::Html;
use poem::{Endpoint, EndpointExt, Response, Route, get};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;
use crate::endpoints::{HotPath, internal_routes, openapi_service};
use crate::http_server::{ConnectionTimeouts, Limits, Listener};
use crate::middleware::{AccessLog, RequestMiddleware};
use crate::readiness::Readiness;
use crate::selling::Selling;

/// The pause between attempts to connect to the backends.
const CONNECT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The time at the end to settle claims and attempts.
const SETTLE_LIMIT: Duration = Duration::from_secs(15);

/// Limits on the internal port, which has few and fast clients.
const INTERNAL_LIMITS: Limits = Limits {
    max_connections: 256,
    timeouts: ConnectionTimeouts {
        request: Duration::from_secs(10),
        idle: Duration::from_secs(75),
    },
};

/// The time at the end for responses in progress on the internal port.
const INTERNAL_FINISH: Duration = Duration::from_millis(200);

/// Why an API process ended without a signal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A port cannot be bound.
    #[error("cannot listen at {address}: {source}; expected a free address (port 0 takes one)")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// A URL is invalid; further attempts would fail as well.
    #[error(transparent)]
    Backend(BackendError),
    /// The certificates of a backend cannot be used.
    #[error("the certificates of a backend: {0}")]
    Certificates(#[from] AddressError),
    /// A call of the operating system failed.
    #[error("{what}: {source}")]
    Os {
        /// The attempted operation.
        what: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// Metrics cannot be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Serves until SIGTERM or SIGINT, then drains.
pub async fn serve(
    config: &Config,
    logging: &Logging,
    (clock, random): (Clock, Random),
) -> Result<(), ServeError> {
    let stopped = stop_signals()?;
    let urls = config.backends()?;
    let public = listen(config.listen, config.limits())?;
    let internal = listen(config.internal_listen, INTERNAL_LIMITS)?;
    if let Some(file) = &config.endpoints_file {
        write_endpoints(file, &public, &internal).map_err(os("cannot write the endpoints file"))?;
    }
    let readiness = Arc::new(Readiness::new(Ambient {
        metrics: Arc::new(Metrics::new()?),
        clock,
        random,
    }));

    // The internal port serves before the backends are connected and until the very end, so that a
    // probe can distinguish "not ready" from a process that is gone.
    let (end_internal, mut internal_ended) = watch::channel(false);
    let probes = internal_routes(readiness.clone());
    let probing = tokio::spawn(async move {
        let end = async {
            let _ = internal_ended.wait_for(|ended| *ended).await;
        };
        internal.serve(probes, end, INTERNAL_FINISH).await;
    });

    let mut failure = None;
    let end = async {
        // A closed channel means that no signal can arrive any more, so that it ends the process
        // as well.
        let mut signalled = stopped.clone();
        tokio::select! {
            _ = signalled.wait_for(|stopped| *stopped) => {}
            error = start_selling(config, &urls, &readiness) => failure = Some(error),
        }
        readiness.start_drain();
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
        tracing::warn!(
            "ended before all claims and attempts were settled: other processes settle the rest"
        );
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
    let service = openapi_service(readiness.clone());
    let page = service.swagger_ui_html();
    let routes = Route::new()
        .at("/docs", get(make_sync(move |_| Html(page.clone()))))
        .at("/openapi.json", get(service.spec_endpoint()))
        .nest_no_strip("/", service);
    HotPath::new(readiness.clone(), routes).with(RequestMiddleware {
        readiness: readiness.clone(),
        access_log: AccessLog::new(
            logging.clone(),
            readiness.ambient().clock.clone(),
            config.access_log_lines_per_second,
        ),
        response_limit: config.response_limit(),
    })
}

fn os(what: &'static str) -> impl Fn(std::io::Error) -> ServeError {
    move |source| ServeError::Os { what, source }
}

fn listen(address: std::net::SocketAddr, limits: Limits) -> Result<Listener, ServeError> {
    Listener::bind(address, limits).map_err(|source| ServeError::Listen { address, source })
}

/// Connects to the backends, which may start after this process, and starts to sell. Returns only
/// an error that further attempts would have as well.
async fn start_selling(config: &Config, urls: &BackendUrls, readiness: &Readiness) -> ServeError {
    loop {
        match connect(config, urls, readiness.ambient()).await {
            Ok(selling) => {
                readiness.set_selling(selling);
                return std::future::pending().await;
            }
            Err(error @ BackendError::Url { .. }) => return ServeError::Backend(error),
            Err(error) => {
                readiness.set_failure(&error);
                tracing::warn!(error = %error, "cannot connect to the backends: trying again");
            }
        }
        tokio::time::sleep(CONNECT_RETRY_AFTER).await;
    }
}

async fn connect(
    config: &Config,
    urls: &BackendUrls,
    ambient: &Ambient,
) -> Result<Arc<Selling>, BackendError> {
    let backends = Backends::connect(urls, config.postgres_connections, ambient).await?;
    Selling::start(&config.selling(), backends, ambient).await
}

fn stop_signals() -> Result<watch::Receiver<bool>, ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(os("cannot handle SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(os("cannot handle SIGINT"))?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = stop.send(true);
        // A dropped sender would close the channel before the receivers have read the signal.
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
