//! The operator's own port: `/livez`, `/readyz` and `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;

use poem::listener::{Acceptor, Listener, TcpAcceptor, TcpListener};
use poem::{Endpoint, EndpointExt, Response, Route, Server, get};
use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use super::RunError;

/// What the operator counts.
pub(super) struct Metrics {
    registry: Registry,
    /// 1 while this process leads.
    pub(super) leading: IntGauge,
    /// FlashSales that are carried out.
    pub(super) flash_sales: IntGauge,
    /// Looks at a FlashSale, by what came of them.
    pub(super) reconciliations: IntCounterVec,
    /// How long they took.
    pub(super) seconds: Histogram,
}

impl Metrics {
    fn new() -> Result<Self, prometheus::Error> {
        let metrics = Self {
            registry: Registry::new(),
            leading: IntGauge::new(
                "flashsale_operator_leading",
                "1 while this process holds the Lease",
            )?,
            flash_sales: IntGauge::new(
                "flashsale_operator_flash_sales",
                "FlashSales that are carried out",
            )?,
            reconciliations: IntCounterVec::new(
                Opts::new(
                    "flashsale_operator_reconciliations_total",
                    "Looks at a FlashSale, by what came of them: idle, done, refused or failed",
                ),
                &["outcome"],
            )?,
            seconds: Histogram::with_opts(HistogramOpts::new(
                "flashsale_operator_reconciliation_seconds",
                "How long a look at a FlashSale took, without those with nothing to do",
            ))?,
        };
        let Self {
            registry,
            leading,
            flash_sales,
            reconciliations,
            seconds,
        } = &metrics;
        registry.register(Box::new(leading.clone()))?;
        registry.register(Box::new(flash_sales.clone()))?;
        registry.register(Box::new(reconciliations.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(metrics)
    }
}

/// The port, which listens already.
pub(super) struct Probes {
    acceptor: TcpAcceptor,
    address: SocketAddr,
    metrics: Arc<Metrics>,
}

impl Probes {
    /// Listens there.
    pub(super) async fn listen(address: SocketAddr) -> Result<Self, RunError> {
        let failed = |source| RunError::Listen { address, source };
        let listener = TcpListener::bind(address);
        let acceptor = listener.into_acceptor().await.map_err(failed)?;
        let local = acceptor.local_addr().into_iter().next();
        let address = local
            .and_then(|local| local.0.as_socket_addr().copied())
            .unwrap_or(address);
        Ok(Self {
            acceptor,
            address,
            metrics: Arc::new(Metrics::new()?),
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn metrics(&self) -> Arc<Metrics> {
        self.metrics.clone()
    }

    /// Serves for ever.
    pub(super) async fn serve(self) {
        let served = Server::new_with_acceptor(self.acceptor)
            .run(routes(self.metrics))
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "probes and metrics are not served any more");
        }
    }
}

/// A standby is as ready as who leads: it can take over.
fn routes(metrics: Arc<Metrics>) -> impl Endpoint {
    let text = move || {
        let families = metrics.registry.gather();
        TextEncoder::new()
            .encode_to_string(&families)
            .map_err(poem::error::InternalServerError)
    };
    let metrics = poem::endpoint::make_sync(move |_| match text() {
        Ok(text) => Response::builder()
            .content_type("text/plain; version=0.0.4")
            .body(text),
        Err(error) => error.into_response(),
    });
    Route::new()
        .at("/livez", get(poem::endpoint::make_sync(|_| "ok")))
        .at("/readyz", get(poem::endpoint::make_sync(|_| "ok")))
        .at("/metrics", get(metrics))
        .boxed()
}
