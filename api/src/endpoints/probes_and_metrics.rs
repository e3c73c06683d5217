//! The endpoints of the internal port: `/livez`, `/readyz` and `/metrics`. Clients do not use it.
//!
//! Guarantees: no endpoint waits for a backend.

use std::sync::Arc;

use poem::http::StatusCode;
use poem::web::Data;
use poem::{Endpoint, EndpointExt, IntoResponse, Response, Route, get, handler};

use crate::readiness::Readiness;

/// The endpoints of the internal port.
pub fn internal_routes(readiness: Arc<Readiness>) -> impl Endpoint<Output = Response> {
    Route::new()
        .at("/livez", get(livez))
        .at("/readyz", get(readyz))
        .at("/metrics", get(metrics))
        .data(readiness)
        .map_to_response()
}

#[handler]
fn livez() -> &'static str {
    "ok\n"
}

#[handler]
fn readyz(readiness: Data<&Arc<Readiness>>) -> Response {
    match readiness.not_ready() {
        None => "ok\n".into_response(),
        Some(why) => format!("{why}\n")
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
            .into_response(),
    }
}

#[handler]
fn metrics(readiness: Data<&Arc<Readiness>>) -> Response {
    let rendered = match readiness.selling() {
        // This call updates the gauges first.
        Some(selling) => selling.metrics().render(),
        None => readiness.metrics().render(),
    };
    match rendered {
        Ok(text) => Response::builder()
            .content_type("text/plain; version=0.0.4; charset=utf-8")
            .body(text),
        Err(error) => error
            .to_string()
            .with_status(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response(),
    }
}
