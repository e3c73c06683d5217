//! `flashsale-operator run` against a real API server, a real Redis Cluster and a real Postgres.
//! No controllers run beside it: what a Deployment would do with pods is written by the tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../backends/mod.rs"]
mod backends;
mod certificates;
mod deletion;
mod leading;
mod life;
mod many;
mod resources;
mod rights;
mod support;
mod wrong;
