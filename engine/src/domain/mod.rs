//! Sale rules as values: sale, window, limits, ids, codes, catalogue, attempt, cart, outcome,
//! errors.
//!
//! Guarantees: nothing here performs I/O, is async, reads a clock or draws a random number; what a
//! rule needs of time and randomness is an argument. Each list of outcomes and refusals stands here
//! once, and everything that depends on it is an exhaustive match.

pub mod attempt;
pub mod backend_urls;
pub mod cart;
pub mod catalog;
pub mod certificates;
pub mod clock;
pub mod code;
pub mod error;
pub mod event;
pub mod ids;
pub mod lifecycle;
pub mod outcome;
pub mod random;
pub mod sale;
pub mod watermark;
