//! The HTTP server and the middleware, in this process and without backends: slow and malformed
//! clients, endpoints that panic or never respond, and the drain.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "../support/http_client.rs"]
mod http_client;
#[allow(dead_code)]
#[path = "../support/openapi_document.rs"]
mod openapi_document;
#[allow(dead_code)]
#[path = "../support/raw_tcp.rs"]
mod raw_tcp;

mod bodies;
mod clients;
mod ending;
mod fixture;
mod panics_and_deadlines;
