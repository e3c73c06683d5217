//! A run that is right, and the same run with something planted in it.

#![allow(clippy::unwrap_used)]

mod fixture;
mod goals;
mod planted;

pub(super) use fixture::{call, history_of, hung_sale_master};

/// The right run, with a fault.
pub(crate) fn example_history() -> crate::history::RunHistory {
    let mut history = fixture::Fixture::right().history;
    history.faults.push(hung_sale_master(8_000_000, 20_000_000));
    history
}
