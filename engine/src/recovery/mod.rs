//! Recovery: settle what is in the streams, restore what Redis lost, correct what Redis holds of one
//! code, and audit a closed sale.
//!
//! Guarantees: each can run at any time, by several processes at once, and again after a crash in
//! its middle; nothing here changes what Postgres has of a code or an item.

pub(crate) mod audit;
pub(crate) mod correct;
pub(crate) mod merge_sale;
pub(crate) mod restore;
pub(crate) mod restore_carts;
pub(crate) mod settle_abandoned;
mod sold_items;
mod trim_events;
