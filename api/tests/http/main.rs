//! The HTTP surface: every status of every endpoint, on real backends and processes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod backends_away;
mod backends_hang;
mod best_effort;
mod buying;
mod by_the_clock;
mod certificates;
mod every_status;
mod first_start;
mod hot_path;
mod metrics;
mod pods;
mod request_ids;
mod sales;
mod service;
