//! When a call starts: as soon as its virtual user is ready (closed loop), or at a fixed rate
//! whatever the answers do (open loop).
//!
//! An open loop promises latencies from the INTENDED start: a server that stalls makes
//! the calls behind it late, and their waiting is counted, not left out. The starts are
//! clocked by a thread of its own, because the timer of an asynchronous runtime rounds
//! to a millisecond, which is more than many answers take.
//!
//! A call that is due before the end of the stage either starts or is counted as never
//! started: an overload cannot hide calls by not starting them.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::error::LoadError;

/// Starts that are due within this span are released together.
const TICK: Duration = Duration::from_micros(100);
/// So that a stopped clock is noticed soon at low rates.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// How calls are started.
pub enum Pacing {
    /// A call starts when its user is ready.
    Closed,
    /// Calls start at a rate.
    Open(Arrivals),
}

impl Pacing {
    /// Waits for the turn of a call, and returns its intended start; `None` when
    /// the stage is over.
    pub async fn start(&self, clock: Clock) -> Option<Instant> {
        match self {
            Self::Closed => Some(clock.now()),
            Self::Open(arrivals) => arrivals.next().await,
        }
    }

    /// Whether users think between two calls.
    #[must_use]
    pub fn has_think_time(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Ends the stage at `end`. No call becomes due after `end`; users who wait for a turn
    /// still start the calls that were due by then.
    pub fn stop(&self, end: Instant) {
        if let Self::Open(arrivals) = self {
            arrivals.stop(end);
        }
    }

    /// How long before the end of the stage each call was due that never started, because
    /// every user was waiting for an answer. Complete once all users have left; empty
    /// before [`Pacing::stop`].
    pub fn never_started(&self) -> impl Iterator<Item = Duration> + use<'_> {
        let arrivals = match self {
            Self::Closed => None,
            Self::Open(arrivals) => Some(arrivals),
        };
        arrivals.into_iter().flat_map(Arrivals::never_started)
    }
}

/// The starts of an open loop: the n-th is intended n/rate after the first.
pub struct Arrivals {
    began: Instant,
    rate: f64,
    taken: Cell<u64>,
    end: Cell<Option<Instant>>,
    due: Arc<Semaphore>,
    stopped: Arc<AtomicBool>,
    releaser: Option<JoinHandle<()>>,
}

impl Arrivals {
    /// Starts the clock; `rate` is in requests per second and above 0.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn at_rate(rate: f64, clock: Clock) -> Result<Self, LoadError> {
        let due = Arc::new(Semaphore::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let began = clock.now();
        let releaser = std::thread::Builder::new()
            .name("arrivals".to_owned())
            .spawn({
                let (due, stopped) = (Arc::clone(&due), Arc::clone(&stopped));
                move || release_when_due(clock, began, rate, &due, &stopped)
            })
            .map_err(|source| LoadError::System {
                what: "start the thread that clocks the open loop",
                source,
            })?;
        Ok(Self {
            began,
            rate,
            taken: Cell::new(0),
            end: Cell::new(None),
            due,
            stopped,
            releaser: Some(releaser),
        })
    }

    async fn next(&self) -> Option<Instant> {
        let number = match self.due.acquire().await {
            // Fair: starts are taken in the order of asking, so their numbers are in order too.
            Ok(permit) => {
                permit.forget();
                self.taken.get()
            }
            // The stage has ended. Whoever waited then was not late, the clock was: calls that
            // were due and not released yet are started all the same.
            Err(_) => Some(self.taken.get()).filter(|number| *number < self.due_by_the_end())?,
        };
        self.taken.set(number + 1);
        Some(self.began + intended(number, self.rate))
    }

    fn stop(&self, end: Instant) {
        self.end.set(Some(end));
        self.due.close();
    }

    /// How many calls were due by the end; 0 while there is no end.
    fn due_by_the_end(&self) -> u64 {
        let end = self.end.get();
        end.map_or(0, |end| {
            due_after(end.duration_since(self.began), self.rate)
        })
    }

    fn never_started(&self) -> impl Iterator<Item = Duration> + use<'_> {
        let numbers = self.taken.get()..self.due_by_the_end();
        let length = self.end.get().map(|end| end.duration_since(self.began));
        let length = length.unwrap_or_default();
        numbers.map(move |number| length.saturating_sub(intended(number, self.rate)))
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(releaser) = self.releaser.take() {
            // It has nothing to report, and it cannot fail.
            let _ = releaser.join();
        }
    }
}

/// Intended start of the call with this number, after the first one.
fn intended(number: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(number as f64 / rate)
}

/// How many calls are due so long after the first one, the first one included.
fn due_after(elapsed: Duration, rate: f64) -> u64 {
    (elapsed.as_secs_f64() * rate) as u64 + 1
}

fn release_when_due(
    clock: Clock,
    began: Instant,
    rate: f64,
    due: &Semaphore,
    stopped: &AtomicBool,
) {
    let mut released: u64 = 0;
    while !stopped.load(Ordering::Relaxed) && !due.is_closed() {
        let elapsed = clock.since(began);
        let by_now = due_after(elapsed, rate);
        if by_now > released {
            due.add_permits((by_now - released) as usize);
            released = by_now;
        }
        let next = intended(released, rate).saturating_sub(elapsed);
        std::thread::sleep(next.clamp(TICK, LONGEST_SLEEP));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn clock() -> Clock {
        Clock::system()
    }

    #[tokio::test]
    async fn starts_are_intended_evenly_and_come_when_they_are_due() {
        let pacing = Pacing::Open(Arrivals::at_rate(1_000.0, clock()).unwrap());
        let first = pacing.start(clock()).await.unwrap();
        for number in 1..=100 {
            let start = pacing.start(clock()).await.unwrap();
            let after = start.duration_since(first);
            assert!(after.abs_diff(intended(number, 1_000.0)) < Duration::from_micros(2));
            assert!(start <= Instant::now(), "released before it was due");
        }
    }

    #[tokio::test]
    async fn every_call_that_was_due_has_started_or_is_counted_with_its_wait() {
        let rate = 1_000.0;
        let pacing = Pacing::Open(Arrivals::at_rate(rate, clock()).unwrap());
        let first = pacing.start(clock()).await.unwrap();
        assert_eq!(pacing.never_started().count(), 0, "the stage goes on");
        pacing.stop(first + Duration::from_millis(100));
        let waits: Vec<Duration> = pacing.never_started().collect();
        // 0 ms has started; 1 ms to 100 ms have not, the earliest waited longest.
        assert_eq!(waits.len(), 100);
        for (number, wait) in (1..).zip(waits) {
            let expected = Duration::from_millis(100 - number);
            assert!(
                wait.abs_diff(expected) < Duration::from_micros(2),
                "{wait:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_user_who_waits_at_the_end_starts_what_the_clock_had_not_released() {
        // The second call is due after 10 s; the clock is stopped as if it were late by that.
        let pacing = Pacing::Open(Arrivals::at_rate(0.1, clock()).unwrap());
        let first = pacing.start(clock()).await.unwrap();
        let (second, ()) = tokio::join!(pacing.start(clock()), async {
            pacing.stop(first + Duration::from_secs(15));
        });
        assert_eq!(second, Some(first + Duration::from_secs(10)));
        assert_eq!(pacing.never_started().count(), 0);
        assert_eq!(
            pacing.start(clock()).await,
            None,
            "the third is due after the end"
        );
    }
}
