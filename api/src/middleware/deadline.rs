//! The deadline of a request: how it is noticed, without timers of the runtime, and the response to a
//! request that exceeds it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use flashsale_engine::{RequestId, Timer};
use poem::Response;

use super::route_labels::Route;
use crate::responses::Problem;

/// Waits for `work` until `timer` has reached `limit`; none where `work` is not done by then.
///
/// Each poll reads `timer`. A timer of the runtime would cost every request a registration and a
/// cancellation. The HTTP server polls each connection at every tick of its timer
/// ([`crate::http_server`]), so the deadline is noticed within one tick.
pub async fn within<T>(timer: &Timer, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if timer.elapsed() >= limit => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// The response to a request without a response within its deadline.
pub fn deadline_exceeded(route: Route, request_id: &RequestId) -> Response {
    tracing::warn!(
        request_id = request_id.as_str(),
        route = route.label(),
        "no response in time"
    );
    let detail = match route {
        Route::Purchase => {
            "the purchase could not be confirmed in time: send the request again with the same \
             code; the cart is bought at most once"
        }
        _ => "there was no response in time: send the request again",
    };
    Problem::unavailable(detail, request_id).into_response()
}
