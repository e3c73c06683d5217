//! The codes whose claims wait for Postgres.
//!
//! Guarantees: a client that asks again and again while Postgres is away adds one claim, so that
//! the backlog grows with the number of codes and not with the length of the outage.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::code::CheckoutCode;

/// A set of codes, each with whether Postgres is known to have an order of it. Clones share the set.
#[derive(Debug, Clone, Default)]
pub(crate) struct WaitingCodes(Arc<Mutex<HashMap<CheckoutCode, bool>>>);

impl WaitingCodes {
    /// Adds a code. Returns whether it was not there.
    pub(crate) fn insert(&self, code: &CheckoutCode) -> bool {
        let mut codes = self.lock();
        if codes.contains_key(code) {
            return false;
        }
        codes.insert(code.clone(), false);
        true
    }

    /// Whether a code is in it.
    pub(crate) fn contains(&self, code: &CheckoutCode) -> bool {
        self.lock().contains_key(code)
    }

    /// Notes that Postgres has an order of a code, if the code is in the set.
    pub(crate) fn note_order(&self, code: &CheckoutCode) {
        if let Some(has_order) = self.lock().get_mut(code) {
            *has_order = true;
        }
    }

    /// Whether an order of a code was noted.
    pub(crate) fn has_order(&self, code: &CheckoutCode) -> bool {
        self.lock().get(code) == Some(&true)
    }

    /// Takes a code out.
    pub(crate) fn remove(&self, code: &CheckoutCode) {
        self.lock().remove(code);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CheckoutCode, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
