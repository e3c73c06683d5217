//! What clients should never send: a clear problem or a closed connection, never a fault of
//! the service, and nothing changed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod fixture;
mod ids;
mod malformed_http;
