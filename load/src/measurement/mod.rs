//! What is counted and measured during a run.
//!
//! Guarantees: memory does not grow with the number of calls, and no latency is dropped.

pub mod histogram;
pub mod recorder;
