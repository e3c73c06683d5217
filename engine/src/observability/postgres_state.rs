//! Whether Postgres answers this process, and since when not.
//!
//! Guarantees: a log line at each change, and none in between; a call that fails while others are
//! answered changes nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use prometheus::{IntGauge, Registry};

use crate::domain::error::BackendError;

/// The state of Postgres.
#[derive(Debug)]
pub struct PostgresState {
    /// `postgres_up`: 1, or 0 while Postgres is away.
    up: IntGauge,
    /// `postgres_away_since_timestamp_seconds`: since when Postgres is away, Unix time; 0 while it is
    /// up.
    away_since: IntGauge,
    answers: AtomicU64,
    /// The same as in `since`, for callers, which read it at each answer.
    is_away: AtomicBool,
    since: Mutex<Option<Timestamp>>,
}

impl PostgresState {
    /// Registers its metrics.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let up = gauge("postgres_up", "Whether Postgres answers")?;
        up.set(1);
        Ok(Self {
            up,
            away_since: gauge(
                "postgres_away_since_timestamp_seconds",
                "Since when Postgres is away, Unix time; 0 while it is up",
            )?,
            answers: AtomicU64::new(0),
            is_away: AtomicBool::new(false),
            since: Mutex::default(),
        })
    }

    /// Since when Postgres is away; none while it is up.
    pub fn away_since(&self) -> Option<Timestamp> {
        *self.lock()
    }

    /// How many answers were noted. A call that begins reads it.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// Notes an answer of the server.
    pub(crate) fn note_answer(&self, now: impl FnOnce() -> Timestamp) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        if !self.is_away.load(Ordering::Relaxed) {
            return;
        }
        let ended = {
            let mut since = self.lock();
            self.is_away.store(false, Ordering::Relaxed);
            self.up.set(1);
            self.away_since.set(0);
            since.take()
        };
        if let Some(since) = ended {
            let away_ms = now().duration_since(since).as_millis();
            tracing::info!(%since, away_ms, "Postgres back");
        }
    }

    /// Notes that a call got no answer, which began after so many.
    pub(crate) fn note_silence(&self, answers: u64, now: Timestamp, why: &BackendError) {
        let mut since = self.lock();
        if since.is_some() || self.answers() != answers {
            return;
        }
        *since = Some(now);
        self.is_away.store(true, Ordering::Relaxed);
        self.up.set(0);
        self.away_since.set(now.as_second());
        drop(since);
        tracing::warn!(since = %now, %why, "Postgres away");
    }

    fn lock(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn it_is_away_from_the_first_silence_to_the_next_answer() {
        let state = PostgresState::new(&Registry::new()).unwrap();
        let second = |second| Timestamp::from_second(second).unwrap();
        state.note_answer(|| second(1));
        assert_eq!((state.away_since(), state.up.get()), (None, 1));
        let answers = state.answers();
        state.note_silence(answers, second(2), &BackendError::Away);
        state.note_silence(answers, second(3), &BackendError::Away);
        assert_eq!((state.away_since(), state.up.get()), (Some(second(2)), 0));
        assert_eq!(state.away_since.get(), 2);
        state.note_answer(|| second(4));
        assert_eq!((state.away_since(), state.up.get()), (None, 1));
        assert_eq!(state.away_since.get(), 0);
        // Another call was answered while this one was on its way.
        state.note_silence(answers, second(5), &BackendError::Away);
        assert_eq!(state.away_since(), None);
    }
}
