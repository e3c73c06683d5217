//! The codes whose claims wait for Postgres.
//!
//! Guarantees: a client that asks again and again while Postgres is away adds one claim, so that
//! the backlog grows with the number of codes and not with the length of the outage.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::code::CheckoutCode;

/// A set of codes. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct WaitingCodes(Arc<Mutex<HashSet<CheckoutCode>>>);

impl WaitingCodes {
    /// Adds a code. Returns whether it was not there.
    pub(crate) fn insert(&self, code: &CheckoutCode) -> bool {
        self.lock().insert(code.clone())
    }

    /// Whether a code is in it.
    pub(crate) fn contains(&self, code: &CheckoutCode) -> bool {
        self.lock().contains(code)
    }

    /// Takes a code out.
    pub(crate) fn remove(&self, code: &CheckoutCode) {
        self.lock().remove(code);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<CheckoutCode>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
