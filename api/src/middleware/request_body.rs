//! The bodies of requests. No endpoint takes one.
//!
//! Guarantees: a body above [`MAX_BODY_BYTES`] is refused, without a read where its length is
//! in the head.

use std::time::Duration;

use flashsale_engine::{InvalidCheckout, Timer};
use poem::Request;
use poem::error::ReadBodyError;
use poem::http::{StatusCode, header};

use super::deadline::within;

/// The largest body that is read and ignored.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// Why a body is refused.
#[derive(Debug)]
pub enum BodyError {
    /// It is larger than [`MAX_BODY_BYTES`].
    TooLarge,
    /// Its bytes contradict its headers.
    Malformed,
    /// Its end did not arrive in time.
    Late,
}

impl BodyError {
    /// The status, the reason for the log of attempts, and the sentence for the client.
    pub fn response_parts(&self) -> (StatusCode, InvalidCheckout, &'static str) {
        match self {
            BodyError::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                InvalidCheckout::BodyTooLarge,
                "the body: expected none, found a large one; parameters belong into the query",
            ),
            BodyError::Malformed => (
                StatusCode::BAD_REQUEST,
                InvalidCheckout::Body,
                "the body: expected chunks as in RFC 9112, found something else; no \
                 endpoint needs a body",
            ),
            BodyError::Late => (
                StatusCode::REQUEST_TIMEOUT,
                InvalidCheckout::RequestTimeout,
                "the body: expected its end in time, found none; no endpoint needs a body",
            ),
        }
    }
}

/// Checks the body against [`MAX_BODY_BYTES`]. A body of unknown length is read up to that limit.
pub async fn check_body(
    request: &mut Request,
    timer: &Timer,
    limit: Duration,
) -> Result<(), BodyError> {
    let headers = request.headers();
    if !headers.contains_key(header::TRANSFER_ENCODING) {
        let length = headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        return match length {
            Some(length) if length > MAX_BODY_BYTES as u64 => Err(BodyError::TooLarge),
            _ => Ok(()),
        };
    }
    // Boxed, because its buffer would enlarge the future of every request.
    let read = Box::pin(request.take_body().into_bytes_limit(MAX_BODY_BYTES));
    match within(timer, limit, read).await {
        Some(Ok(_)) => Ok(()),
        Some(Err(ReadBodyError::PayloadTooLarge)) => Err(BodyError::TooLarge),
        Some(Err(_)) => Err(BodyError::Malformed),
        None => Err(BodyError::Late),
    }
}
