//! Invalid input gets a problem or a closed connection, never a fault of the service, and changes
//! nothing.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod fixture;
mod ids;
mod malformed_http;
