//! The result of a run, as a value and as what people and machines read.
//!
//! Guarantees: a run whose result has a fault is not reported as fine.

pub mod axis;
pub mod files;
mod html;
pub mod picture;
pub mod summary;
pub mod table;
