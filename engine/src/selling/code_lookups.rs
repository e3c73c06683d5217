//! Look-ups in Postgres of codes that Redis does not hold.
//!
//! Guarantees: whoever sends codes that do not exist takes a few connections at the most and leaves
//! the others to customers; beyond a bound such requests are refused at once. A code that was found
//! to be unknown is refused again without a look-up.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::domain::code::CheckoutCode;
use crate::domain::error::BackendError;

/// Look-ups that run at once.
const RUNNING: usize = 2;

/// Look-ups that run or wait; what comes beyond them is refused.
const ADMITTED: usize = 64;

/// How long a look-up waits for others.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Unknown codes that are remembered.
const REMEMBERED: usize = 4_096;

const FULL: BackendError = BackendError::Full {
    queue: "the queue of look-ups of codes that Redis does not hold",
};

/// The look-ups of a process.
#[derive(Debug)]
pub(crate) struct CodeLookups {
    admitted: Semaphore,
    running: Semaphore,
    unknown: Mutex<UnknownCodes>,
}

/// Codes that no cart and no order has. A code is drawn by a server, never by a client, so that an
/// unknown one stays unknown.
#[derive(Debug, Default)]
struct UnknownCodes {
    codes: HashSet<CheckoutCode>,
    in_order: VecDeque<CheckoutCode>,
}

/// The right to look codes up.
#[derive(Debug)]
pub(crate) struct Lookup<'a> {
    _running: SemaphorePermit<'a>,
    _admitted: SemaphorePermit<'a>,
}

impl Default for CodeLookups {
    fn default() -> Self {
        Self {
            admitted: Semaphore::new(ADMITTED),
            running: Semaphore::new(RUNNING),
            unknown: Mutex::default(),
        }
    }
}

impl CodeLookups {
    /// Waits until a look-up may run; an error where too many wait, or for too long.
    pub(crate) async fn begin(&self) -> Result<Lookup<'_>, BackendError> {
        let admitted = self.admitted.try_acquire().map_err(|_| FULL)?;
        let running = tokio::time::timeout(LONGEST_WAIT, self.running.acquire()).await;
        match running {
            Ok(Ok(running)) => Ok(Lookup {
                _running: running,
                _admitted: admitted,
            }),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(FULL),
        }
    }

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

    #[tokio::test]
    async fn look_ups_beyond_the_bound_are_refused_and_those_within_it_wait() {
        let lookups = CodeLookups::default();
        let mut running = Vec::new();
        for _ in 0..RUNNING {
            running.push(lookups.begin().await.unwrap());
        }
        let mut waiting: Vec<_> = (RUNNING..ADMITTED)
            .map(|_| Box::pin(lookups.begin()))
            .collect();
        for lookup in &mut waiting {
            assert!(futures_util::poll!(lookup.as_mut()).is_pending());
        }
        let refused = lookups.begin().await.unwrap_err();
        assert!(matches!(refused, BackendError::Full { .. }));
        drop(running);
        assert!(futures_util::poll!(waiting[0].as_mut()).is_ready());
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
