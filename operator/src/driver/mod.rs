//! The driver: executes the plans of one FlashSale on its backends.
//!
//! Guarantees: the controller and the local mode share this code, so that both execute a sale the
//! same way. The caller passes a [`Connection`](crate::backends::Connection), generic over the
//! seams of Redis and Postgres; nothing here connects, or depends on Kubernetes or on where a status
//! is written. Every action may be executed twice, and after a crash in the middle of it.

mod actions;
mod delete_sales;
mod eviction_check;
mod step;

pub use actions::ResolvedCatalog;
pub use delete_sales::{Deletion, delete_sales};
pub use step::{Driver, Step};
