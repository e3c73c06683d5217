//! Sales on the fakes, through the engine, under paused time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod lost_carts;
mod lost_sales;
mod lost_slots;
mod lost_writes;
mod paused_process;
mod refusals;
mod troubled_redis;
mod waiting_claims;
mod whole_sale;
