//! Chaos: the product on real processes, with faults from a plan, and a verdict on each invariant.
//!
//! The plan, the history and the judgement are pure. `testbed` and `network` are real processes and
//! a network that can fail; `users` call; `run` plays a plan on them.

pub mod args;
pub mod history;
pub mod judge;
pub mod moments;
pub mod network;
pub mod plan;
pub mod report;
pub mod run;
pub mod testbed;
pub mod users;
