//! Around every public request: its id, its log line, its metrics, and a problem for whatever
//! no endpoint answered (404, 405, a body, a panic).

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, RwLock};
use std::time::Instant;

use flashsale_engine::ids::RequestId;
use flashsale_engine::metrics::Metrics;
use flashsale_engine::telemetry::{RequestLine, Telemetry};
use futures_util::FutureExt;
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};
use poem_openapi::error::ParseParamError;
use prometheus::{Histogram, IntCounter};

use crate::internal::Probes;
use crate::problem::Problem;

/// The header that carries a request's id, in and out.
pub const REQUEST_ID: &str = "x-request-id";

/// Bodies have no meaning on any endpoint; a large one is refused before it is read.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// The middleware.
#[derive(Debug, Clone)]
pub struct Observe {
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// Whether this process drains, and where refused checkouts are logged.
    pub probes: Arc<Probes>,
    /// Where each request has its line.
    pub log: Telemetry,
}

impl<E: Endpoint> Middleware<E> for Observe {
    type Output = Observed<E>;

    fn transform(&self, endpoint: E) -> Observed<E> {
        Observed {
            endpoint,
            handles: Handles::new(self.metrics.clone()),
            probes: self.probes.clone(),
            log: self.log.clone(),
        }
    }
}

/// An endpoint under observation.
#[derive(Debug)]
pub struct Observed<E> {
    endpoint: E,
    handles: Handles,
    probes: Arc<Probes>,
    log: Telemetry,
}

impl<E: Endpoint> Endpoint for Observed<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let request_id = request
            .header(REQUEST_ID)
            .and_then(|text| RequestId::parse(text).ok())
            .unwrap_or_else(RequestId::generate);
        let method = request.method().clone();
        let route = route_of(request.uri().path());
        request.set_data(request_id.clone());

        let mut response = if has_large_body(&mut request).await {
            let is_checkout = method == Method::POST && route == "/checkout";
            self.too_large(is_checkout, &request_id).await
        } else {
            match AssertUnwindSafe(self.endpoint.call(request))
                .catch_unwind()
                .await
            {
                Ok(Ok(answer)) => answer.into_response(),
                Ok(Err(error)) => unanswered(&error, &request_id),
                Err(_) => {
                    tracing::error!(
                        request_id = request_id.as_str(),
                        route,
                        "a handler panicked"
                    );
                    internal(&request_id)
                }
            }
        };
        if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            let allow = HeaderValue::from_static(methods_of(route));
            response.headers_mut().insert(header::ALLOW, allow);
        }
        if self.probes.draining.load(Ordering::Relaxed) {
            // A connection that is told so is not closed under its next request.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        let took = started.elapsed();
        let status = response.status().as_u16();
        self.handles
            .count(&method, route, status, took.as_secs_f64());
        self.log.request(&RequestLine {
            request_id: request_id.as_str(),
            method: method.as_str(),
            route,
            status,
            took,
        });
        Ok(response)
    }
}

impl<E> Observed<E> {
    async fn too_large(&self, is_checkout: bool, request_id: &RequestId) -> Response {
        let code = "body_too_large";
        if is_checkout {
            // Every answered checkout is logged, whatever the answer.
            let shop = &self.probes.shop;
            let logged = shop.log_invalid_checkout(None, None, code, request_id);
            if let Err(error) = logged.await {
                tracing::warn!(request_id = request_id.as_str(), error = %error, "checkout unavailable");
                return Problem::unavailable("ask again, without a body", request_id)
                    .into_response();
            }
        }
        let detail = "no endpoint takes a body; parameters go into the query";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, code, detail, request_id).into_response()
    }
}

/// Whether there is more body than is worth reading. One of unknown length is read that far.
async fn has_large_body(request: &mut Request) -> bool {
    let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    match request.header(header::CONTENT_LENGTH.as_str()) {
        Some(length) if !chunked => length.parse().is_ok_and(|n: usize| n > MAX_BODY_BYTES),
        _ => {
            let body = request.take_body();
            !body.is_empty() && body.into_bytes_limit(MAX_BODY_BYTES).await.is_err()
        }
    }
}

fn internal(request_id: &RequestId) -> Response {
    let detail = "this is a fault of the service; its log has the request id";
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Problem::new(status, "internal_error", detail, request_id).into_response()
}

/// A problem for an error that the framework made.
fn unanswered(error: &poem::Error, request_id: &RequestId) -> Response {
    let status = error.status();
    let (code, detail) = match status {
        StatusCode::NOT_FOUND => (
            "not_found",
            "there is no such path: /docs shows those that there are".to_owned(),
        ),
        StatusCode::METHOD_NOT_ALLOWED => (
            "method_not_allowed",
            "the path does not take this method: /docs shows what it takes".to_owned(),
        ),
        _ if error.is::<ParseParamError>() => ("invalid_parameter", error.to_string()),
        _ if error.is::<poem::error::ParsePathError>() => (
            "invalid_path",
            "the path: expected UTF-8 once its %xx are decoded, found something else".to_owned(),
        ),
        status if status.is_client_error() => ("invalid_request", error.to_string()),
        _ => {
            tracing::error!(request_id = request_id.as_str(), error = %error, "unexpected error");
            return internal(request_id);
        }
    };
    Problem::new(status, code, detail, request_id).into_response()
}

/// The route of a path, so that ids and codes never become labels.
fn route_of(path: &str) -> &'static str {
    let parts: Vec<&str> = path.splitn(5, '/').skip(1).collect();
    match parts[..] {
        ["checkout"] => "/checkout",
        ["checkout", _] => "/checkout/{code}",
        ["purchase"] => "/purchase",
        ["purchase", _] => "/purchase/{code}",
        ["sales", "active"] => "/sales/active",
        ["sales", _] => "/sales/{id}",
        ["sales", _, "items"] => "/sales/{id}/items",
        ["health"] => "/health",
        ["docs"] => "/docs",
        ["openapi.json"] => "/openapi.json",
        _ => "other",
    }
}

/// What a route takes, for the header Allow.
fn methods_of(route: &str) -> &'static str {
    match route {
        "/checkout" | "/purchase" => "POST",
        _ => "GET",
    }
}

type Key = (Method, &'static str, u16);

/// The metric children seen so far: looking one up by labels hashes and locks.
#[derive(Debug)]
struct Handles {
    metrics: Arc<Metrics>,
    known: RwLock<HashMap<Key, (IntCounter, Histogram)>>,
}

impl Handles {
    fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            known: RwLock::default(),
        }
    }

    fn count(&self, method: &Method, route: &'static str, status: u16, seconds: f64) {
        let key = (plain_method(method), route, status);
        // The map is whole between any two statements, so a panic elsewhere spoils nothing.
        let known = self
            .known
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((counter, histogram)) = known.get(&key) {
            counter.inc();
            histogram.observe(seconds);
            return;
        }
        drop(known);
        let labels = [key.0.as_str(), route, &status.to_string()];
        let handles = (
            self.metrics.http_requests.with_label_values(&labels),
            self.metrics.http_duration.with_label_values(&labels),
        );
        handles.0.inc();
        handles.1.observe(seconds);
        self.known
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(key, handles);
    }
}

/// Methods that clients make up share one label.
fn plain_method(method: &Method) -> Method {
    match *method {
        Method::GET
        | Method::POST
        | Method::HEAD
        | Method::PUT
        | Method::DELETE
        | Method::PATCH
        | Method::OPTIONS => method.clone(),
        _ => Method::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_codes_never_become_labels() {
        assert_eq!(route_of("/checkout"), "/checkout");
        assert_eq!(route_of("/purchase/CHK-a.b.c-d"), "/purchase/{code}");
        assert_eq!(route_of("/sales/shop.x.20261123T0800Z"), "/sales/{id}");
        assert_eq!(route_of("/sales/active"), "/sales/active");
        assert_eq!(route_of("/sales/x/items"), "/sales/{id}/items");
        assert_eq!(route_of("/sales/x/items/y"), "other");
        assert_eq!(route_of("/../../etc/passwd"), "other");
    }
}
