//! One suite of operations on the seam to Postgres, run against the fake and against a real server:
//! the answers must be the same, and so must the SQLSTATE of every violation.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attempts;
mod constraints;
mod operations;
mod random_operations;
mod sales;
mod support;
mod watermarks;
