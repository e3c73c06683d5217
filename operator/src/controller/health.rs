//! The operator's own port: `/livez`, `/readyz` and `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;

use poem::listener::{Acceptor, Listener, TcpAcceptor, TcpListener};
use poem::{Endpoint, EndpointExt, Response, Route, Server, get};

use super::metrics::Metrics;

/// The port, bound.
pub(super) struct HealthServer {
    acceptor: TcpAcceptor,
    address: SocketAddr,
}

impl HealthServer {
    /// Binds the address.
    pub(super) async fn bind(address: SocketAddr) -> Result<Self, std::io::Error> {
        let acceptor = TcpListener::bind(address).into_acceptor().await?;
        let local = acceptor.local_addr().into_iter().next();
        let address = local
            .and_then(|local| local.0.as_socket_addr().copied())
            .unwrap_or(address);
        Ok(Self { acceptor, address })
    }

    /// The bound address.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is dropped.
    pub(super) async fn serve(self, metrics: Arc<Metrics>) {
        let served = Server::new_with_acceptor(self.acceptor)
            .run(routes(metrics))
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "probes and metrics are not served any more");
        }
    }
}

/// A standby is as ready as the leader: it can take over.
fn routes(metrics: Arc<Metrics>) -> impl Endpoint {
    let metrics = poem::endpoint::make_sync(move |_| match metrics.encode() {
        Ok(text) => Response::builder()
            .content_type("text/plain; version=0.0.4")
            .body(text),
        Err(error) => poem::error::InternalServerError(error).into_response(),
    });
    Route::new()
        .at("/livez", get(poem::endpoint::make_sync(|_| "ok")))
        .at("/readyz", get(poem::endpoint::make_sync(|_| "ok")))
        .at("/metrics", get(metrics))
        .boxed()
}
