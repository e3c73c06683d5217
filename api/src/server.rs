//! The two listeners of an API process, from start to drained end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flashsale_engine::StoreError;
use flashsale_engine::metrics::Metrics;
use flashsale_engine::shop::Shop;
use flashsale_engine::telemetry::Telemetry;
use poem::endpoint::make_sync;
use poem::web::Html;
use poem::{EndpointExt, Route, Server, get};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::acceptor::{ConnectionLimits, LimitedAcceptor};
use crate::config::Config;
use crate::internal::{self, Probes};
use crate::observe::Observe;
use crate::{endpoints, server};

/// Between attempts to reach the stores at the start.
const CONNECT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long claims and attempts on their way may take at the end.
const SETTLE_LIMIT: Duration = Duration::from_secs(15);

/// Probes come from few places and are quick.
const INTERNAL_LIMITS: ConnectionLimits = ConnectionLimits {
    max_connections: 256,
    request_timeout: Duration::from_secs(10),
};

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
    Store(StoreError),
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
pub async fn run(config: &Config, log: &Telemetry) -> Result<(), ServeError> {
    let mut stopped = stop_signals()?;
    let limits = ConnectionLimits {
        max_connections: config.max_connections,
        request_timeout: Duration::from_secs(config.request_timeout_seconds),
    };
    let public = listen(config.listen, limits)?;
    let internal = listen(config.internal_listen, INTERNAL_LIMITS)?;
    let metrics = Arc::new(Metrics::new()?);
    let Some(shop) = connect(config, &metrics, &mut stopped).await? else {
        return Ok(());
    };
    if let Some(file) = &config.endpoints_file {
        server::write_endpoints(file, &public, &internal)
            .map_err(os("writing the endpoints file"))?;
    }

    let probes = Arc::new(Probes {
        shop: shop.clone(),
        draining: AtomicBool::new(false),
    });
    let service = endpoints::service(shop.clone());
    let page = service.swagger_ui_html();
    let routes = Route::new()
        .at("/docs", get(make_sync(move |_| Html(page.clone()))))
        .at("/openapi.json", get(service.spec_endpoint()))
        .nest_no_strip("/", service)
        .with(Observe {
            metrics,
            probes: probes.clone(),
            log: log.clone(),
        });
    let (end_internal, internal_ended) = watch::channel(false);
    let probing = tokio::spawn(serve_internal(internal, probes.clone(), internal_ended));

    let drain = async {
        // The error would mean that nobody can signal any more: end then, too.
        let _ = stopped.wait_for(|stopped| *stopped).await;
        probes.draining.store(true, Ordering::Relaxed);
        tracing::info!(drain_seconds = config.drain_seconds, "draining");
        tokio::time::sleep(Duration::from_secs(config.drain_seconds)).await;
    };
    let served = Server::new_with_acceptor(public)
        .name("public")
        .idle_timeout(Duration::from_secs(config.idle_timeout_seconds))
        .http2_max_concurrent_streams(100)
        .run_with_graceful_shutdown(routes, drain, Some(config.shutdown_limit()))
        .await;
    if !shop.stop(SETTLE_LIMIT).await {
        tracing::warn!("ended before everything was settled: other processes settle the rest");
    }
    // Probes answer until the end, so that "not ready" is never "not there".
    let _ = end_internal.send(true);
    let _ = probing.await;
    served.map_err(os("serving"))
}

fn os(what: &'static str) -> impl Fn(std::io::Error) -> ServeError {
    move |source| ServeError::Os { what, source }
}

fn listen(
    address: std::net::SocketAddr,
    limits: ConnectionLimits,
) -> Result<LimitedAcceptor, ServeError> {
    LimitedAcceptor::bind(address, limits).map_err(|source| ServeError::Listen { address, source })
}

/// Connects to the stores; they may come up after this process. None: stopped meanwhile.
async fn connect(
    config: &Config,
    metrics: &Arc<Metrics>,
    stopped: &mut watch::Receiver<bool>,
) -> Result<Option<Arc<Shop>>, ServeError> {
    loop {
        match Shop::start(&config.shop(), metrics.clone()).await {
            Ok(shop) => return Ok(Some(shop)),
            Err(error @ StoreError::Url { .. }) => return Err(ServeError::Store(error)),
            Err(error) => tracing::warn!(error = %error, "stores not reached yet; trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep(CONNECT_RETRY_AFTER) => {}
            _ = stopped.changed() => return Ok(None),
        }
    }
}

async fn serve_internal(
    acceptor: LimitedAcceptor,
    probes: Arc<Probes>,
    mut ended: watch::Receiver<bool>,
) {
    let end = async move {
        let _ = ended.wait_for(|ended| *ended).await;
    };
    let served = Server::new_with_acceptor(acceptor)
        .name("internal")
        .run_with_graceful_shutdown(
            internal::routes(probes),
            end,
            Some(Duration::from_millis(200)),
        )
        .await;
    if let Err(error) = served {
        tracing::error!(error = %error, "the internal port ended");
    }
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

fn write_endpoints(
    file: &Path,
    public: &LimitedAcceptor,
    internal: &LimitedAcceptor,
) -> std::io::Result<()> {
    let url = |acceptor: &LimitedAcceptor| acceptor.address().map(|a| format!("http://{a}"));
    let endpoints = serde_json::json!({"public": url(public)?, "internal": url(internal)?});
    let unfinished = file.with_extension("unfinished");
    std::fs::write(&unfinished, endpoints.to_string())?;
    std::fs::rename(unfinished, file)
}
