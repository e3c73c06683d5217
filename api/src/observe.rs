//! Around every public request: its id, its log line, its metrics, and a problem for whatever
//! no endpoint answered (404, 405, a panic).

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, RwLock};
use std::time::Instant;

use flashsale_engine::ids::RequestId;
use flashsale_engine::metrics::Metrics;
use futures_util::FutureExt;
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};
use prometheus::{Histogram, IntCounter};

use crate::problem::Problem;

/// The header that carries a request's id, in and out.
pub const REQUEST_ID: &str = "x-request-id";

/// Bodies have no meaning on any endpoint; a large one is refused before it is read.
const MAX_BODY_BYTES: u64 = 16 * 1024;

/// The middleware.
#[derive(Debug, Clone)]
pub struct Observe {
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
}

impl<E: Endpoint> Middleware<E> for Observe {
    type Output = Observed<E>;

    fn transform(&self, endpoint: E) -> Observed<E> {
        Observed {
            endpoint,
            handles: Handles::new(self.metrics.clone()),
        }
    }
}

/// An endpoint under observation.
#[derive(Debug)]
pub struct Observed<E> {
    endpoint: E,
    handles: Handles,
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
        let too_large = declared_length(&request) > MAX_BODY_BYTES;
        request.set_data(request_id.clone());

        let mut response = if too_large {
            let detail = "no endpoint takes a body; parameters go into the query";
            let code = "body_too_large";
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, code, detail, &request_id).into_response()
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
        let took = started.elapsed();
        let status = response.status().as_u16();
        self.handles
            .count(&method, route, status, took.as_secs_f64());
        tracing::info!(
            target: "flashsale::access",
            request_id = request_id.as_str(),
            method = method.as_str(),
            route,
            status,
            ms = took.as_micros() as f64 / 1e3,
            "request"
        );
        Ok(response)
    }
}

fn declared_length(request: &Request) -> u64 {
    let length = request.header(header::CONTENT_LENGTH.as_str());
    length.and_then(|text| text.parse().ok()).unwrap_or(0)
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
