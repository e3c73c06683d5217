//! The checker: the history of a run, the rows that Postgres holds, and a verdict on each invariant.

pub mod history;
mod invariants;
pub mod reader;
pub mod stored_rows;
pub mod verdict;

pub use invariants::{check, missing_attempts};
