//! JSON payloads that are written in one pass.
//!
//! The payload of poem-openapi builds a map of each value, with a copy of every name and text, and
//! then writes the map.
//!
//! Guarantees: schema and content type are those of poem-openapi's payload. A debug build compares
//! each body with what that payload would write, so that every test of a response compares them.

use poem::http::{StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::payload::{Json as Documented, Payload};
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::{ToJSON, Type};
use serde::Serialize;

/// A JSON payload.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: Type> Payload for Json<T> {
    const CONTENT_TYPE: &'static str = Documented::<T>::CONTENT_TYPE;

    fn check_content_type(content_type: &str) -> bool {
        Documented::<T>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        Documented::<T>::schema_ref()
    }

    fn register(registry: &mut Registry) {
        Documented::<T>::register(registry);
    }
}

impl<T: Serialize + ToJSON> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        debug_assert_eq!(serde_json::to_value(&self.0).ok(), self.0.to_json());
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => Response::builder()
                .header(header::CONTENT_TYPE, CONTENT_TYPE)
                .body(bytes),
            // Only a map whose keys are no texts cannot be written, and no body has one.
            Err(error) => {
                tracing::error!(%error, "a response cannot be written as JSON");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// What poem-openapi's payload names; a header value of its own would be parsed for each response.
const CONTENT_TYPE: header::HeaderValue =
    header::HeaderValue::from_static("application/json; charset=utf-8");
