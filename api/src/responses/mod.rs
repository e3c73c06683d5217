//! Responses that endpoints share.

pub mod common_responses;
pub mod problem;
