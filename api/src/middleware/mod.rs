//! Around every public request: its id, its log line, its metrics, its deadline, and a problem
//! for whatever no endpoint answered (404, 405, a body, a panic, a store that hangs).
//!
//! Promises: every request has one line and is counted once, whatever becomes of it; one whose
//! client left before its answer has the status 499 there. A request is answered within
//! [`Observe::answer_within`], and the client's part of it, the body, within half of that.

pub mod access_log;
pub mod request_metrics;
pub mod route_labels;

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use flashsale_engine::{InvalidCheckout, RequestId, Timer};
use futures_util::FutureExt;
use poem::error::ReadBodyError;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};
use poem_openapi::error::ParseParamError;

use crate::middleware::access_log::{AccessLog, RequestLine};
use crate::middleware::request_metrics::Traffic;
use crate::middleware::route_labels::{Route, method_label};
use crate::panic_log as panics;
use crate::readiness::Readiness;
use crate::responses::problem::Problem;

/// The header that carries a request's id, in and out.
pub const REQUEST_ID: &str = "x-request-id";

/// Bodies have no meaning on any endpoint; a large one is refused before it is read.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// In log and metrics, for a client that left before it was answered.
const CLIENT_LEFT: u16 = 499;

/// The middleware.
#[derive(Debug, Clone)]
pub struct Observe {
    /// Whether this process drains, and where refused checkouts are logged.
    pub readiness: Arc<Readiness>,
    /// Where each request has its line.
    pub access_log: AccessLog,
    /// From a request's head to its answer.
    pub answer_within: Duration,
}

impl<E: Endpoint> Middleware<E> for Observe {
    type Output = Observed<E>;

    fn transform(&self, endpoint: E) -> Observed<E> {
        Observed {
            endpoint,
            traffic: Traffic::new(self.readiness.metrics().clone()),
            observe: self.clone(),
        }
    }
}

/// An endpoint under observation.
#[derive(Debug)]
pub struct Observed<E> {
    endpoint: E,
    traffic: Traffic,
    observe: Observe,
}

/// A request on its way; dropping it is its end, however it came.
struct Exchange<'a, E> {
    observed: &'a Observed<E>,
    request_id: RequestId,
    method: &'static str,
    route: Route,
    timer: Timer,
    status: u16,
}

enum BodyFault {
    TooLarge,
    /// Not what its headers say.
    Broken,
    Late,
}

impl<E: Endpoint> Endpoint for Observed<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let request_id = request
            .header(REQUEST_ID)
            .and_then(|text| RequestId::parse(text).ok())
            .unwrap_or_else(|| RequestId::generate(&self.observe.readiness.ambient().random));
        request.set_data(request_id.clone());
        let mut exchange = Exchange {
            observed: self,
            request_id,
            method: method_label(request.method()),
            route: Route::of(request.uri().path()),
            timer: self.observe.readiness.ambient().clock.start_timer(),
            status: CLIENT_LEFT,
        };
        let (timer, limit) = (exchange.timer.clone(), self.observe.answer_within);
        let answer = within(&timer, limit, exchange.answer(request)).await;
        let mut response = answer.unwrap_or_else(|| exchange.late());

        let status = response.status();
        exchange.status = status.as_u16();
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(exchange.request_id.as_str()) {
            headers.insert(REQUEST_ID, value);
        }
        let unread = [StatusCode::REQUEST_TIMEOUT, StatusCode::PAYLOAD_TOO_LARGE];
        if status == StatusCode::METHOD_NOT_ALLOWED {
            let allow = HeaderValue::from_static(exchange.route.allow());
            headers.insert(header::ALLOW, allow);
        }
        if self.observe.readiness.is_draining() || unread.contains(&status) {
            // A connection that is told so is not closed under its next request.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

impl<E: Endpoint> Exchange<'_, E> {
    async fn answer(&self, mut request: Request) -> Response {
        let body_limit = self.observed.observe.answer_within / 2;
        if let Err(fault) = check_body(&mut request, &self.timer, body_limit).await {
            return Box::pin(self.refuse_body(&fault)).await;
        }
        let call = AssertUnwindSafe(self.observed.endpoint.call(request));
        match call.catch_unwind().await {
            Ok(Ok(answer)) => answer.into_response(),
            Ok(Err(error)) if error.is_from_response() => error.into_response(),
            Ok(Err(error)) => self.unanswered(&error),
            Err(_) => {
                // Its message and place are what the hook kept: it ran in this very poll.
                let panic = panics::take().map(|panic| panic.to_string());
                tracing::error!(
                    request_id = self.request_id.as_str(),
                    route = self.route.label(),
                    panic,
                    "a handler panicked"
                );
                self.internal()
            }
        }
    }

    async fn refuse_body(&self, fault: &BodyFault) -> Response {
        let (status, invalid, detail) = match fault {
            BodyFault::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                InvalidCheckout::BodyTooLarge,
                "expected no body, found a large one: parameters go into the query",
            ),
            BodyFault::Broken => (
                StatusCode::BAD_REQUEST,
                InvalidCheckout::Body,
                "the body: expected chunks as RFC 9112 has them, found something else; no \
                 endpoint needs a body",
            ),
            BodyFault::Late => (
                StatusCode::REQUEST_TIMEOUT,
                InvalidCheckout::RequestTimeout,
                "the body: expected its end, found none in time; no endpoint needs a body",
            ),
        };
        if self.method == "POST" && self.route == Route::Checkout {
            // Every answered checkout is logged, whatever the answer.
            let selling = match self
                .observed
                .observe
                .readiness
                .selling_for(&self.request_id)
            {
                Ok(selling) => selling,
                Err(unavailable) => return poem::Error::from(unavailable).into_response(),
            };
            let logged = selling.log_invalid_checkout(None, None, invalid, &self.request_id);
            if let Err(error) = logged.await {
                tracing::warn!(
                    request_id = self.request_id.as_str(), error = %error, "checkout unavailable"
                );
                let detail = "ask again, without a body";
                return Problem::unavailable(detail, &self.request_id).into_response();
            }
        }
        Problem::new(status, invalid.code(), detail, &self.request_id).into_response()
    }

    /// A problem for an error that the framework made.
    fn unanswered(&self, error: &poem::Error) -> Response {
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
                "the path: expected UTF-8 once its %xx are decoded, found something else"
                    .to_owned(),
            ),
            status if status.is_client_error() => ("invalid_request", error.to_string()),
            _ => {
                tracing::error!(
                    request_id = self.request_id.as_str(), error = %error, "unexpected error"
                );
                return self.internal();
            }
        };
        Problem::new(status, code, detail, &self.request_id).into_response()
    }

    fn internal(&self) -> Response {
        let metrics = self.observed.observe.readiness.metrics();
        if self.method == "POST" {
            metrics.count_internal(self.route.label());
        }
        let detail = "this is a fault of the service; its log has the request id";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Problem::new(status, "internal_error", detail, &self.request_id).into_response()
    }

    fn late(&self) -> Response {
        tracing::warn!(
            request_id = self.request_id.as_str(),
            route = self.route.label(),
            "no answer in time"
        );
        let detail = match self.route {
            Route::Purchase => {
                "the purchase could not be confirmed in time: ask again with the same code, \
                 which buys once whatever happened"
            }
            _ => "there was no answer in time: ask again",
        };
        Problem::unavailable(detail, &self.request_id).into_response()
    }
}

impl<E> Drop for Exchange<'_, E> {
    fn drop(&mut self) {
        let took = self.timer.elapsed();
        let Observed {
            traffic, observe, ..
        } = self.observed;
        traffic.count(self.method, self.route, self.status, took.as_secs_f64());
        observe.access_log.write(&RequestLine {
            request_id: self.request_id.as_str(),
            method: self.method,
            route: self.route.label(),
            status: self.status,
            took,
        });
    }
}

/// Refuses a body that is larger than is worth reading. One of unknown length is read that far,
/// one of a known length not at all.
async fn check_body(
    request: &mut Request,
    timer: &Timer,
    limit: Duration,
) -> Result<(), BodyFault> {
    let headers = request.headers();
    if !headers.contains_key(header::TRANSFER_ENCODING) {
        let length = headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        return match length {
            Some(length) if length > MAX_BODY_BYTES as u64 => Err(BodyFault::TooLarge),
            _ => Ok(()),
        };
    }
    // In a box of its own: its buffer would be a part of every request's future.
    let read = Box::pin(request.take_body().into_bytes_limit(MAX_BODY_BYTES));
    match within(timer, limit, read).await {
        Some(Ok(_)) => Ok(()),
        Some(Err(ReadBodyError::PayloadTooLarge)) => Err(BodyFault::TooLarge),
        Some(Err(_)) => Err(BodyFault::Broken),
        None => Err(BodyFault::Late),
    }
}

/// Waits for `work` until `timer` has reached `limit`; none where it is not done then. It sets no
/// timer of the runtime, which each request would have to set and to cancel: a connection is polled
/// at each tick of its clock ([`crate::http_server::connection_timer`]), and `timer` is read then.
async fn within<T>(timer: &Timer, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if timer.elapsed() >= limit => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}
