//! One suite of operations on the seam to Redis, run against the fake and against a real server:
//! the replies and what is stored must be the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod commands;
mod groups;
mod lua;
mod random_groups;
mod scripts;
mod seam;
mod streams;
mod support;
