//! Look-ups in Postgres of codes whose order Redis cannot tell.
//!
//! Guarantees: each kind of look-up has a bound of its own, so that whoever sends codes that do not
//! exist leaves the others to customers. A code that was found to be unknown is refused again
//! without a look-up.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::domain::code::CheckoutCode;
use crate::selling::lookup_limit::LookupLimit;

/// Unknown codes that are remembered.
const REMEMBERED: usize = 4_096;

/// The look-ups of a process.
#[derive(Debug, Default)]
pub(crate) struct CodeLookups {
    /// Of codes that Redis does not hold, though it holds all carts.
    pub(crate) not_in_redis: LookupLimit,
    /// Of codes to be bought while a backend fails.
    pub(crate) during_faults: LookupLimit,
    /// Of codes of sales that take no claim.
    pub(crate) of_ended_sales: LookupLimit,
    /// Of orders to be shown.
    pub(crate) shown: LookupLimit,
    unknown: Mutex<UnknownCodes>,
}

/// Codes that no cart and no order has. A code is drawn by a server, never by a client, so that an
/// unknown one stays unknown.
#[derive(Debug, Default)]
struct UnknownCodes {
    codes: HashSet<CheckoutCode>,
    in_order: VecDeque<CheckoutCode>,
}

impl CodeLookups {
    /// Remembers a code that neither a cart partition, whose carts are whole, nor Postgres has.
    pub(crate) fn note_unknown(&self, code: &CheckoutCode) {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if !unknown.codes.insert(code.clone()) {
            return;
        }
        unknown.in_order.push_back(code.clone());
        if unknown.in_order.len() > REMEMBERED
            && let Some(oldest) = unknown.in_order.pop_front()
        {
            unknown.codes.remove(&oldest);
        }
    }

    /// Whether a code is known to be unknown.
    pub(crate) fn is_unknown(&self, code: &CheckoutCode) -> bool {
        let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.codes.contains(code)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn code(n: usize) -> CheckoutCode {
        CheckoutCode::parse(&format!("CHK-shop.hourly.20261123T0800Z-00{n:020}")).unwrap()
    }

    #[test]
    fn the_newest_unknown_codes_are_remembered() {
        let lookups = CodeLookups::default();
        for n in 0..=REMEMBERED {
            lookups.note_unknown(&code(n));
            lookups.note_unknown(&code(n));
        }
        assert!(!lookups.is_unknown(&code(0)));
        assert!(lookups.is_unknown(&code(1)) && lookups.is_unknown(&code(REMEMBERED)));
    }
}
