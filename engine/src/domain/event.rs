//! Events of a sale's stream: claims and corrections.

use crate::domain::code::CodeSuffix;
use crate::domain::outcome::Outcome;

/// One event of a sale's stream, which is the outbox to Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A claim was decided.
    Claimed {
        /// Its code.
        suffix: CodeSuffix,
        /// Its outcome.
        outcome: Outcome,
    },
    /// What Redis holds of a code was corrected to what Postgres has.
    Corrected {
        /// Its code.
        suffix: CodeSuffix,
        /// The user whose count changed.
        user: String,
        /// Items that the user has now.
        bought: u32,
        /// Items that are sold.
        sold: Vec<u32>,
        /// Items that are for sale again.
        released: Vec<u32>,
    },
}
