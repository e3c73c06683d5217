//! The middleware around every public request: request id, deadline, access log, request metrics,
//! and a problem for each request without a response of an endpoint (404, 405, a body, a panic, a
//! deadline).
//!
//! Guarantees: every request is counted once and logged at most once ([`AccessLog`]), with status 499
//! where the client disconnected before the response. A request gets its response within
//! [`RequestMiddleware::response_limit`]; the client has half of that to send the body.

mod access_log;
mod deadline;
mod request_body;
mod request_metrics;
mod route_labels;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use flashsale_engine::{RequestId, Timer};
use futures_util::FutureExt;
use poem::error::ParsePathError;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};
use poem_openapi::error::ParseParamError;

pub use self::access_log::AccessLog;
use self::access_log::RequestLine;
use self::deadline::{deadline_exceeded, within};
use self::request_body::{BodyError, check_body};
use self::request_metrics::RequestMetrics;
use self::route_labels::{Route, method_label};
use crate::panic_log::take_last_panic;
use crate::readiness::Readiness;
use crate::responses::Problem;

/// The header of the request id, in requests and responses.
const REQUEST_ID: &str = "x-request-id";

/// The status in log and metrics where the client disconnected before the response.
const CLIENT_DISCONNECTED: u16 = 499;

/// The configuration of the middleware.
#[derive(Debug, Clone)]
pub struct RequestMiddleware {
    /// Whether this process drains, and the service that logs refused checkouts.
    pub readiness: Arc<Readiness>,
    /// The log with lines of requests.
    pub access_log: AccessLog,
    /// The longest time between the head of a request and its response.
    pub response_limit: Duration,
}

impl<E: Endpoint> Middleware<E> for RequestMiddleware {
    type Output = WrappedEndpoint<E>;

    fn transform(&self, endpoint: E) -> WrappedEndpoint<E> {
        WrappedEndpoint {
            endpoint,
            metrics: RequestMetrics::new(self.readiness.metrics().clone()),
            config: self.clone(),
        }
    }
}

/// An endpoint inside the middleware.
#[derive(Debug)]
pub struct WrappedEndpoint<E> {
    endpoint: E,
    metrics: RequestMetrics,
    config: RequestMiddleware,
}

/// A request from its head to its response. Its drop writes the log line and the metrics, because
/// the runtime drops the future of a request whose client disconnects.
struct RequestInProgress<'a, E> {
    wrapped: &'a WrappedEndpoint<E>,
    request_id: RequestId,
    method: &'static str,
    route: Route,
    timer: Timer,
    status: u16,
}

impl<E: Endpoint> Endpoint for WrappedEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let request_id = request
            .header(REQUEST_ID)
            .and_then(|text| RequestId::parse(text).ok())
            .unwrap_or_else(|| RequestId::generate(&self.config.readiness.ambient().random));
        request.set_data(request_id.clone());
        let mut in_progress = RequestInProgress {
            wrapped: self,
            request_id,
            method: method_label(request.method()),
            route: Route::of(request.uri().path()),
            timer: self.config.readiness.ambient().clock.start_timer(),
            status: CLIENT_DISCONNECTED,
        };
        let (timer, limit) = (in_progress.timer.clone(), self.config.response_limit);
        let response = within(&timer, limit, in_progress.respond(request)).await;
        let mut response = response
            .unwrap_or_else(|| deadline_exceeded(in_progress.route, &in_progress.request_id));

        let status = response.status();
        in_progress.status = status.as_u16();
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(in_progress.request_id.as_str()) {
            headers.insert(REQUEST_ID, value);
        }
        let unread = [StatusCode::REQUEST_TIMEOUT, StatusCode::PAYLOAD_TOO_LARGE];
        if status == StatusCode::METHOD_NOT_ALLOWED {
            let allow = HeaderValue::from_static(in_progress.route.allow());
            headers.insert(header::ALLOW, allow);
        }
        if self.config.readiness.is_draining() || unread.contains(&status) {
            // Without this header the connection could close while the client sends the next
            // request.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

impl<E: Endpoint> RequestInProgress<'_, E> {
    async fn respond(&self, mut request: Request) -> Response {
        let body_limit = self.wrapped.config.response_limit / 2;
        if let Err(error) = check_body(&mut request, &self.timer, body_limit).await {
            return Box::pin(self.refuse_body(&error)).await;
        }
        let call = AssertUnwindSafe(self.wrapped.endpoint.call(request));
        match call.catch_unwind().await {
            Ok(Ok(response)) => response.into_response(),
            Ok(Err(error)) if error.is_from_response() => error.into_response(),
            Ok(Err(error)) => self.framework_error(&error),
            Err(_) => {
                // The hook stored message and location on this thread, in this very poll.
                let panic = take_last_panic().map(|panic| panic.to_string());
                tracing::error!(
                    request_id = self.request_id.as_str(),
                    route = self.route.label(),
                    panic,
                    "a handler panicked"
                );
                self.internal_error()
            }
        }
    }

    async fn refuse_body(&self, error: &BodyError) -> Response {
        let (status, invalid, detail) = error.response_parts();
        if self.method == "POST" && self.route == Route::Checkout {
            // The log of attempts has every checkout that gets a response other than 5xx.
            let readiness = &self.wrapped.config.readiness;
            let selling = match readiness.selling_for(&self.request_id) {
                Ok(selling) => selling,
                Err(unavailable) => return poem::Error::from(unavailable).into_response(),
            };
            let logged = selling.log_invalid_checkout(None, None, invalid, &self.request_id);
            if let Err(error) = logged.await {
                tracing::warn!(
                    request_id = self.request_id.as_str(), error = %error, "checkout unavailable"
                );
                let detail = "send the request again, without a body";
                return Problem::unavailable(detail, &self.request_id).into_response();
            }
        }
        Problem::new(status, invalid.code(), detail, &self.request_id).into_response()
    }

    /// The problem for an error of the framework.
    fn framework_error(&self, error: &poem::Error) -> Response {
        let status = error.status();
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => (
                "not_found",
                "there is no such path: /docs lists the paths".to_owned(),
            ),
            StatusCode::METHOD_NOT_ALLOWED => (
                "method_not_allowed",
                "the path does not take this method: /docs lists the methods of each path"
                    .to_owned(),
            ),
            _ if error.is::<ParseParamError>() => ("invalid_parameter", error.to_string()),
            _ if error.is::<ParsePathError>() => (
                "invalid_path",
                "the path: expected UTF-8 once its %xx are decoded, found something else"
                    .to_owned(),
            ),
            status if status.is_client_error() => ("invalid_request", error.to_string()),
            _ => {
                tracing::error!(
                    request_id = self.request_id.as_str(), error = %error, "unexpected error"
                );
                return self.internal_error();
            }
        };
        Problem::new(status, code, detail, &self.request_id).into_response()
    }

    fn internal_error(&self) -> Response {
        let metrics = self.wrapped.config.readiness.metrics();
        if self.method == "POST" {
            metrics.count_internal(self.route.label());
        }
        let detail = "this is a fault of the service; its log has the request id";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Problem::new(status, "internal_error", detail, &self.request_id).into_response()
    }
}

impl<E> Drop for RequestInProgress<'_, E> {
    fn drop(&mut self) {
        let took = self.timer.elapsed();
        let WrappedEndpoint {
            metrics, config, ..
        } = self.wrapped;
        metrics.count(self.method, self.route, self.status, took.as_secs_f64());
        config.access_log.write(&RequestLine {
            request_id: self.request_id.as_str(),
            method: self.method,
            route: self.route.label(),
            status: self.status,
            took,
        });
    }
}
