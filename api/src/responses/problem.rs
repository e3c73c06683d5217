//! The format of errors: `application/problem+json` (RFC 9457).
//!
//! Guarantees: every error has a stable `code` and the id of its request; a 503 has `Retry-After`.

use flashsale_engine::RequestId;
use poem::http::{StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::Object;
use serde::Serialize;

use super::json::Json;

/// The media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Seconds that a client should wait before the next request.
pub const RETRY_AFTER_SECONDS: u64 = 1;

/// An error, as RFC 9457 defines it.
#[derive(Debug, Clone, Object, Serialize)]
pub struct Problem {
    /// `urn:flashsale:problem:` and the code.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was expected, what was found, and what to do.
    pub detail: String,
    /// Stable, for programs.
    pub code: String,
    /// The id of this request in the logs; also in the header X-Request-Id.
    pub request_id: String,
}

impl Problem {
    /// A problem with this code; `detail` is a sentence for the client.
    pub fn new(
        status: StatusCode,
        code: &str,
        detail: impl Into<String>,
        request_id: &RequestId,
    ) -> Self {
        Self {
            kind: format!("urn:flashsale:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.to_owned(),
            request_id: request_id.to_string(),
        }
    }

    /// 503: a backend is unavailable, or a queue is full.
    pub fn unavailable(detail: impl Into<String>, request_id: &RequestId) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            detail,
            request_id,
        )
    }

    /// The problem as a complete response, for the middleware.
    pub fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Json(self).with_status(status).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static(PROBLEM_JSON),
        );
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
        }
        response
    }
}
