//! The circuit breaker of one node: whether calls are sent to it.
//!
//! Guarantees: while it is open, callers fail at once with an error that has the reason and the
//! time; one answer of the node closes it; the time comes from the caller.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// That a node is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Away {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub why: AwayReason,
}

/// Why a node is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AwayReason {
    /// It answered nothing for this long while a call waited.
    Silent(Duration),
    /// No connection could be made or kept.
    Unreachable(String),
}

impl fmt::Display for AwayReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(after) => write!(f, "no answer within {after:?}"),
            Self::Unreachable(why) => f.write_str(why),
        }
    }
}

/// Which opening of a breaker this is.
pub(super) type Opening = u64;

/// The breaker of one node.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// The same as in `state`, for callers, which read it at each call.
    is_open: AtomicBool,
    answers: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    openings: Opening,
    away: Option<Away>,
}

impl Breaker {
    /// Why the node gets no calls; none where it gets them.
    pub(super) fn away(&self) -> Option<Away> {
        match self.is_open.load(Ordering::Acquire) {
            false => None,
            true => self.lock().away.clone(),
        }
    }

    /// How many answers of the node were noted. A node that is silent leaves it unchanged.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// Opens the breaker. Returns which opening this is, or none where it was open.
    pub(super) fn open(&self, away: Away) -> Option<Opening> {
        let mut state = self.lock();
        if state.away.is_some() {
            return None;
        }
        state.openings += 1;
        state.away = Some(away);
        self.is_open.store(true, Ordering::Release);
        Some(state.openings)
    }

    /// Notes an answer of the node, which closes the breaker. Returns what ended, where it was open.
    pub(super) fn note_answer(&self) -> Option<Away> {
        self.answers.fetch_add(1, Ordering::Relaxed);
        if !self.is_open.load(Ordering::Acquire) {
            return None;
        }
        let mut state = self.lock();
        self.is_open.store(false, Ordering::Release);
        state.away.take()
    }

    /// Whether the breaker is open since that opening.
    pub(super) fn is_open_since(&self, opening: Opening) -> bool {
        let state = self.lock();
        state.away.is_some() && state.openings == opening
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(second: i64) -> Away {
        Away {
            since: Timestamp::from_second(second).unwrap_or_default(),
            why: AwayReason::Silent(Duration::from_millis(750)),
        }
    }

    #[test]
    fn it_is_open_from_the_first_failure_to_the_first_answer() {
        let breaker = Breaker::default();
        assert_eq!(breaker.away(), None);
        assert_eq!(breaker.open(silent(1)), Some(1));
        assert_eq!(breaker.open(silent(2)), None, "it is open already");
        assert_eq!(breaker.away(), Some(silent(1)), "since the first failure");
        assert_eq!(breaker.note_answer(), Some(silent(1)));
        assert_eq!((breaker.away(), breaker.note_answer()), (None, None));
        assert_eq!(breaker.answers(), 2);
    }

    #[test]
    fn the_probe_of_one_opening_ends_where_another_one_follows() {
        let breaker = Breaker::default();
        assert_eq!(breaker.open(silent(1)), Some(1));
        assert!(breaker.is_open_since(1));
        breaker.note_answer();
        assert!(!breaker.is_open_since(1));
        assert_eq!(breaker.open(silent(2)), Some(2));
        assert!(!breaker.is_open_since(1) && breaker.is_open_since(2));
    }
}
