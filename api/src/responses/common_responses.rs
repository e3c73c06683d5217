//! What every endpoint may answer besides its own answers, as the OpenAPI document has it.
//!
//! Most of it is answered around the endpoints ([`crate::middleware`]); it is part of their types
//! so that the document is whole.

use flashsale_engine::RequestId;
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;

use crate::responses::problem::{PROBLEM_JSON, Problem};

/// Answers of the service around an endpoint: an endpoint itself never gives them.
#[derive(Debug)]
pub enum Refused {}

/// 503, and what [`Refused`] documents.
#[derive(Debug)]
pub struct Unavailable {
    detail: &'static str,
    request_id: RequestId,
}

impl Unavailable {
    /// A store is away, or a queue is full. The detail says what to do.
    pub fn new(detail: &'static str, request_id: &RequestId) -> Self {
        Self {
            detail,
            request_id: request_id.clone(),
        }
    }
}

impl From<Refused> for poem::Error {
    fn from(never: Refused) -> Self {
        match never {}
    }
}

impl From<Unavailable> for poem::Error {
    fn from(unavailable: Unavailable) -> Self {
        let Unavailable { detail, request_id } = unavailable;
        Self::from_response(Problem::unavailable(detail, &request_id).into_response())
    }
}

impl ApiResponse for Refused {
    fn meta() -> MetaResponses {
        let allow = header::<String>("ALLOW", "The methods that the path takes.");
        let responses = vec![
            problem(405, "method_not_allowed: the path takes other methods.").with(allow),
            problem(
                408,
                "request_timeout: the body did not come in time. The connection closes.",
            ),
            problem(
                413,
                "body_too_large: no endpoint takes a body. The connection closes.",
            ),
            problem(
                500,
                "internal_error: a fault of the service, whose log has the request id.",
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
        let mut meta = Refused::meta();
        let retry = header::<u64>("RETRY-AFTER", "Seconds to wait before asking again.");
        let unavailable = problem(
            503,
            "unavailable: a store is away or gave no answer in time, or a queue is full. Ask \
             again; a purchase with the same code, which keeps its place.",
        );
        meta.responses.push(unavailable.with(retry));
        meta
    }

    fn register(registry: &mut Registry) {
        Refused::register(registry);
    }
}

fn problem(status: u16, description: &'static str) -> MetaResponse {
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content: vec![MetaMediaType {
            content_type: PROBLEM_JSON,
            schema: Problem::schema_ref(),
        }],
        headers: Vec::new(),
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

trait With {
    fn with(self, header: MetaHeader) -> Self;
}

impl With for MetaResponse {
    fn with(mut self, header: MetaHeader) -> Self {
        self.headers.push(header);
        self
    }
}
