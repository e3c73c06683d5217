//! Kinds of load: a profile, and virtual users that decide its calls.
//!
//! Guarantees: deciding does no I/O, and the same rng seed and answers give the same calls.

pub mod benchmark;
pub mod defaults;
pub mod narrow;
pub mod profile;
pub mod run_state;
pub mod shopper;
pub mod virtual_user;
