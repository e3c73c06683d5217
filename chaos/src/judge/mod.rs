//! Judges a run: each invariant, and each goal of its scenario.
//!
//! Pure: a history and what the backends hold afterwards, verdicts and figures out. Nothing is
//! called held that was not checked.

mod commits;
mod evidence;
mod excused;
mod goals;
mod invariants;
mod outage;
mod refusals;
mod undersell;
mod window;

pub use commits::Commit;
pub use evidence::{Evidence, RedisSale};
pub use goals::{Goal, goals};
pub use invariants::{NumberedVerdict, judge};

use std::collections::HashSet;

use flashsale_load::client::answer::Answer;
use flashsale_load::client::call::Call;

use crate::history::RunHistory;

/// How many different codes were answered as bought.
#[must_use]
pub fn answered_purchases(history: &RunHistory) -> usize {
    let codes = history
        .calls
        .iter()
        .filter_map(|record| match (&record.call, &record.answer) {
            (Call::Purchase { code, .. }, Answer::Outcome(_)) if record.bought() > 0 => Some(code),
            _ => None,
        });
    codes.collect::<HashSet<_>>().len()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::example_history;
