//! Calls of the public port, their answers, and the connections that carry them.
//!
//! Guarantees: a call ends with an answer or with an error within its time-out, and is sent at
//! most once. An answer becomes a value, or is counted as unreadable.

pub mod answer;
pub mod call;
pub mod catalogue;
pub mod connection;
pub(crate) mod encoding;
pub mod pool;
pub mod run_id;
