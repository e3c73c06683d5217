//! Sale rules as values: sale, window, limits, ids, codes, catalogue, attempt, outcome, errors.
//!
//! Guarantees: nothing here performs I/O, is async, reads a clock or draws a random number.

pub mod clock;
pub mod random;
