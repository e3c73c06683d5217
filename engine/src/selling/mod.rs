//! Selling: what an API process does with the sales of one FlashSale.
//!
//! Guarantees: the process follows the registry, so that a sale which was seeded opens and closes
//! by the clock while the operator is down (invariant 9); every answered attempt is in a stream
//! first; every answered purchase is committed first (invariant 4); queues are bounded, and a full
//! queue refuses.

mod attempt_log;
pub(crate) mod browse;
mod cart_lanes;
mod cart_restoration;
pub(crate) mod checkout;
mod claim_lane;
mod code_lane;
mod code_lookups;
mod context;
mod ended_sales;
mod eviction_check;
mod group_commit;
mod lane;
mod lookup_limit;
mod open_calls;
mod pending_claims;
pub(crate) mod purchase;
mod refusal_lane;
mod registry_follower;
mod sale_merge;
mod sale_view;
pub(crate) mod served_sale;
mod served_sales;
pub(crate) mod service;
mod settings_check;
mod settle_own_attempts;
mod steady_since;
mod view_reader;
mod waiting_codes;
mod watermark;
mod write_state;

#[cfg(test)]
mod format_tests;
