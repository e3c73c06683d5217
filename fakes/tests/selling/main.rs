//! Sales on the fakes, through the engine, under paused time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod lost_writes;
mod paused_process;
mod whole_sale;
