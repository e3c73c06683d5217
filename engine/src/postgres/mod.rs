//! Postgres: the seam ([`operations::Postgres`]) that everything else uses, the adapter to a real
//! database with its pool, the migrations, and one file for each table.
//!
//! Guarantees: every wait is bounded; errors and time-outs are values; a statement stands in a file
//! of its own; the keys of `orders` and `purchases` decide who has an item, whatever Redis holds.

pub(crate) mod adapter;
mod attempts;
pub(crate) mod commit;
mod copy;
mod insert_orders;
mod items;
mod migrate;
pub mod operations;
mod page;
pub(crate) mod pool;
mod read_outcomes;
mod read_purchases;
mod sales;
mod watermarks;

pub use migrate::migrate;
