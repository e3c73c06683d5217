//! Look-ups in Postgres of codes whose order Redis cannot tell.
//!
//! Guarantees: each kind of look-up has a bound of its own, so that whoever sends codes that do not
//! exist leaves the others to customers. A code that was found to be unknown is refused again
//! without a look-up.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::domain::code::CheckoutCode;
use crate::domain::outcome::Outcome;
use crate::postgres::operations::Postgres;
use crate::redis::commands::Redis;
use crate::selling::code_lane::{self, CodeLane};
use crate::selling::context::Context;
use crate::selling::ended_sales::{self, CodeOfEndedSale};
use crate::selling::lookup_limit::LookupLimit;

/// Unknown codes that are remembered.
const REMEMBERED: usize = 4_096;

/// The look-ups of a process.
#[derive(Debug)]
pub(crate) struct CodeLookups {
    /// Of codes that Redis does not hold, though it holds all carts.
    pub(crate) not_in_redis: LookupLimit,
    /// Of codes to be bought while a backend fails.
    pub(crate) during_faults: CodeLane<Option<Outcome>>,
    /// Of codes of sales that take no claim.
    pub(crate) of_ended_sales: CodeLane<CodeOfEndedSale>,
    /// Of orders to be shown.
    pub(crate) shown: LookupLimit,
    unknown: RememberedCodes,
}

/// Codes that were found to be unknown.
#[derive(Debug, Default)]
struct RememberedCodes(Mutex<UnknownCodes>);

/// Codes that no cart and no order has. A code is drawn by a server, never by a client, so that an
/// unknown one stays unknown.
#[derive(Debug, Default)]
struct UnknownCodes {
    codes: HashSet<CheckoutCode>,
    in_order: VecDeque<CheckoutCode>,
}

impl CodeLookups {
    /// Starts the lanes.
    pub(crate) fn start<R: Redis, P: Postgres>(
        context: &Arc<Context<R, P>>,
        stop: &CancellationToken,
    ) -> Self {
        Self {
            not_in_redis: LookupLimit::default(),
            during_faults: CodeLane::start("order lane", context, stop, code_lane::find_orders),
            of_ended_sales: CodeLane::start(
                "ended-sale lane",
                context,
                stop,
                ended_sales::find_codes,
            ),
            shown: LookupLimit::default(),
            unknown: RememberedCodes::default(),
        }
    }

    /// Remembers a code that neither a cart partition, whose carts are whole, nor Postgres has.
    pub(crate) fn note_unknown(&self, code: &CheckoutCode) {
        self.unknown.insert(code);
    }

    /// Whether a code is known to be unknown.
    pub(crate) fn is_unknown(&self, code: &CheckoutCode) -> bool {
        self.unknown.contains(code)
    }
}

impl RememberedCodes {
    fn insert(&self, code: &CheckoutCode) {
        let mut unknown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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

    fn contains(&self, code: &CheckoutCode) -> bool {
        let unknown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        let unknown = RememberedCodes::default();
        for n in 0..=REMEMBERED {
            unknown.insert(&code(n));
            unknown.insert(&code(n));
        }
        assert!(!unknown.contains(&code(0)));
        assert!(unknown.contains(&code(1)) && unknown.contains(&code(REMEMBERED)));
    }
}
