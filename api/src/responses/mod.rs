//! Responses that several endpoints and the middleware share.
//!
//! Guarantees: an error has one format, and the OpenAPI document lists every shared error at
//! every endpoint.

mod common_responses;
mod json;
mod problem;

pub use common_responses::{CommonResponses, Unavailable};
pub use json::Json;
pub use problem::{Problem, RETRY_AFTER_SECONDS};
