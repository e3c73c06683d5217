//! Deadlines without timers of the runtime.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use flashsale_engine::Timer;

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
