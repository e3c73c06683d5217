//! The port itself, in this process and without stores: slow, silent, greedy and broken
//! clients, endpoints that panic or hang, and the end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "../support/documented.rs"]
mod documented;
#[allow(dead_code)]
#[path = "../support/http.rs"]
mod http;
#[allow(dead_code)]
#[path = "../support/raw.rs"]
mod raw;

mod bodies;
mod clients;
mod ending;
mod faults;
mod host;
