//! When a call starts: as soon as its user wants (closed loop), or at a fixed rate
//! whatever the answers do (open loop).
//!
//! An open loop promises latencies from the INTENDED start: a server that stalls makes
//! the calls behind it late, and their waiting is counted, not left out. The starts are
//! clocked by a thread of its own, because the timer of an asynchronous runtime rounds
//! to a millisecond, which is more than many answers take.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::error::LoadError;

/// Starts that are due within this span are released together.
const TICK: Duration = Duration::from_micros(100);
/// So that a stopped clock is noticed soon at low rates.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// How calls are started.
pub enum Pace {
    /// A call starts when its user is ready.
    Closed,
    /// Calls start at a rate.
    Open(Arrivals),
}

impl Pace {
    /// Waits for the turn of a call, and returns its intended start; `None` when
    /// the stage is over.
    pub async fn start(&self) -> Option<Instant> {
        match self {
            Self::Closed => Some(Instant::now()),
            Self::Open(arrivals) => arrivals.next().await,
        }
    }

    /// Whether users think between two calls.
    #[must_use]
    pub fn lets_think(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Starts nothing any more.
    pub fn stop(&self) {
        if let Self::Open(arrivals) = self {
            arrivals.due.close();
        }
    }

    /// Calls that should have started and never did, because every seat or connection
    /// was waiting for an answer.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        match self {
            Self::Closed => 0,
            Self::Open(arrivals) => arrivals.due.available_permits() as u64,
        }
    }
}

/// The starts of an open loop: the n-th is intended n/rate after the first.
pub struct Arrivals {
    began: Instant,
    rate: f64,
    taken: Cell<u64>,
    due: Arc<Semaphore>,
    stopped: Arc<AtomicBool>,
    clock: Option<JoinHandle<()>>,
}

impl Arrivals {
    /// Starts the clock; `rate` is in requests per second and above 0.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn at_rate(rate: f64) -> Result<Self, LoadError> {
        let due = Arc::new(Semaphore::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let began = Instant::now();
        let clock = std::thread::Builder::new()
            .name("arrivals".to_owned())
            .spawn({
                let (due, stopped) = (Arc::clone(&due), Arc::clone(&stopped));
                move || release_when_due(began, rate, &due, &stopped)
            })
            .map_err(|source| LoadError::System {
                what: "start the thread that clocks the open loop",
                source,
            })?;
        Ok(Self {
            began,
            rate,
            taken: Cell::new(0),
            due,
            stopped,
            clock: Some(clock),
        })
    }

    async fn next(&self) -> Option<Instant> {
        // Fair: starts are taken in the order of asking, so their numbers are in order too.
        self.due.acquire().await.ok()?.forget();
        let number = self.taken.get();
        self.taken.set(number + 1);
        Some(self.began + intended(number, self.rate))
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(clock) = self.clock.take() {
            // It has nothing to report, and it cannot fail.
            let _ = clock.join();
        }
    }
}

/// Intended start of the call with this number, after the first one.
fn intended(number: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(number as f64 / rate)
}

fn release_when_due(began: Instant, rate: f64, due: &Semaphore, stopped: &AtomicBool) {
    let mut released: u64 = 0;
    while !stopped.load(Ordering::Relaxed) && !due.is_closed() {
        let elapsed = began.elapsed();
        let by_now = (elapsed.as_secs_f64() * rate) as u64 + 1;
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

    #[tokio::test]
    async fn starts_are_intended_evenly_and_come_when_they_are_due() {
        let pace = Pace::Open(Arrivals::at_rate(1_000.0).unwrap());
        let first = pace.start().await.unwrap();
        for number in 1..=100 {
            let start = pace.start().await.unwrap();
            let after = start.duration_since(first);
            assert!(after.abs_diff(intended(number, 1_000.0)) < Duration::from_micros(2));
            assert!(start <= Instant::now(), "released before it was due");
        }
    }

    #[tokio::test]
    async fn what_nobody_could_start_is_counted() {
        let pace = Pace::Open(Arrivals::at_rate(10_000.0).unwrap());
        pace.start().await.unwrap();
        while pace.backlog() < 10 {
            tokio::task::yield_now().await;
        }
        pace.stop();
        assert!(pace.backlog() >= 10);
        assert_eq!(pace.start().await, None);
    }
}
