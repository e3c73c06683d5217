//! Responses that every endpoint may have besides its own: 405, 408, 413, 500 and 503.
//!
//! Guarantees: the OpenAPI document lists them at every endpoint. The middleware writes most of
//! them ([`crate::middleware`]); they are part of the endpoints' types for the document alone.

use flashsale_engine::RequestId;
use poem::Response;
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;

use super::problem::{PROBLEM_JSON, Problem};

/// The responses of the middleware: 405, 408, 413 and 500. An endpoint cannot return a value of
/// this type.
#[derive(Debug)]
pub enum CommonResponses {}

/// 503, and the responses of [`CommonResponses`].
#[derive(Debug)]
pub struct Unavailable {
    detail: &'static str,
    request_id: RequestId,
}

impl Unavailable {
    /// The response where a backend is unavailable or a queue is full. `detail` names what the
    /// client should do.
    pub fn new(detail: &'static str, request_id: &RequestId) -> Self {
        Self {
            detail,
            request_id: request_id.clone(),
        }
    }

    /// The complete response.
    pub fn into_response(self) -> Response {
        Problem::unavailable(self.detail, &self.request_id).into_response()
    }
}

impl From<CommonResponses> for poem::Error {
    fn from(never: CommonResponses) -> Self {
        match never {}
    }
}

impl From<Unavailable> for poem::Error {
    fn from(unavailable: Unavailable) -> Self {
        Self::from_response(unavailable.into_response())
    }
}

impl ApiResponse for CommonResponses {
    fn meta() -> MetaResponses {
        let allow = header::<String>("ALLOW", "The methods that the path takes.");
        let responses = vec![
            problem(
                405,
                "method_not_allowed: the path takes other methods.",
                vec![allow],
            ),
            problem(
                408,
                "request_timeout: the body did not arrive in time. The connection closes.",
                vec![],
            ),
            problem(
                413,
                "body_too_large: no endpoint takes a body. The connection closes.",
                vec![],
            ),
            problem(
                500,
                "internal_error: a fault of the service, whose log has the request id.",
                vec![],
            ),
        ];
        MetaResponses { responses }
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}

impl ApiResponse for Unavailable {
    fn meta() -> MetaResponses {
        let mut meta = CommonResponses::meta();
        let retry = header::<u64>("RETRY-AFTER", "Seconds to wait before the next request.");
        let description = "unavailable: a backend is unavailable or did not respond in time, or \
                           a queue is full. Send the request again; a purchase with the same \
                           code, because its claim remains.";
        meta.responses.push(problem(503, description, vec![retry]));
        meta
    }

    fn register(registry: &mut Registry) {
        CommonResponses::register(registry);
    }
}

fn problem(status: u16, description: &'static str, headers: Vec<MetaHeader>) -> MetaResponse {
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content: vec![MetaMediaType {
            content_type: PROBLEM_JSON,
            schema: Problem::schema_ref(),
        }],
        headers,
    }
}

fn header<T: Type>(name: &str, description: &str) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: true,
        deprecated: false,
        schema: T::schema_ref(),
    }
}
