//! The port itself, in this process and without stores: slow, silent, greedy and broken
//! clients, endpoints that panic or hang, and the end.
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
