//! Users of a run: an open loop of calls, whatever the answers do.
//!
//! A user sends each call again, with the same code, until it has a definitive answer; but for some
//! whose purchase had no answer, which leave what they claimed to the product. Every call
//! is recorded with the moment when it was due, and with its answer or that none came.

mod open_loop;
mod recheck;
mod shopper;

pub use open_loop::{Drive, OpenLoop};
