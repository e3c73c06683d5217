//! Postgres: the seam ([`operations::Postgres`]) that everything else uses, the adapter to a real
//! database with its pool, the migrations, and one file for each table.
//! `address` reads a URL, `connector` finds the server, `connections` and `pool` share what it opens,
//! `session` is one of them.
//!
//! Guarantees: every wait is bounded; errors and time-outs are values; a statement stands in a file
//! of its own; the keys of `orders` and `purchases` decide who has an item, whatever Redis holds.

pub(crate) mod adapter;
pub(crate) mod address;
mod attempts;
pub(crate) mod commit;
mod connections;
mod connector;
mod copy;
mod errors;
mod insert_orders;
mod items;
mod migrate;
pub mod operations;
mod page;
pub(crate) mod pool;
mod read_outcomes;
mod read_purchases;
mod sales;
mod session;
mod sold_counts;
mod watermarks;

pub use migrate::migrate;
