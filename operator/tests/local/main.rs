//! `flashsale-operator` as people run it: the real program on a real Redis Cluster and a real
//! Postgres.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod away;
#[path = "../backends/mod.rs"]
mod backends;
mod certificates;
mod life;
mod program;
mod restarts;
mod sale_on_fakes;
mod support;
