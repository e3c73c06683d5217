//! The internal port: `/livez`, `/readyz` and `/metrics`. Not for clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flashsale_engine::shop::Shop;
use poem::http::StatusCode;
use poem::web::Data;
use poem::{Endpoint, EndpointExt, IntoResponse, Response, Route, get, handler};

/// What the probes see.
#[derive(Debug)]
pub struct Probes {
    /// The shop, once it is connected.
    pub shop: Arc<Shop>,
    /// Set on SIGTERM: this process wants no more requests.
    pub draining: AtomicBool,
}

/// The endpoints of the internal port.
pub fn routes(probes: Arc<Probes>) -> impl Endpoint {
    Route::new()
        .at("/livez", get(livez))
        .at("/readyz", get(readyz))
        .at("/metrics", get(metrics))
        .data(probes)
}

#[handler]
fn livez() -> &'static str {
    "ok\n"
}

#[handler]
fn readyz(probes: Data<&Arc<Probes>>) -> Response {
    let why = if probes.draining.load(Ordering::Relaxed) {
        Some("draining".to_owned())
    } else {
        probes.shop.not_ready()
    };
    match why {
        None => "ok\n".into_response(),
        Some(why) => format!("{why}\n")
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
            .into_response(),
    }
}

#[handler]
fn metrics(probes: Data<&Arc<Probes>>) -> Response {
    match probes.shop.metrics().render() {
        Ok(text) => Response::builder()
            .content_type("text/plain; version=0.0.4; charset=utf-8")
            .body(text),
        Err(error) => error
            .to_string()
            .with_status(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response(),
    }
}
