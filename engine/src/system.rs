//! The machine's clock and source of randomness: what `main` passes in.
//!
//! Guarantees: no other file of the engine reads a clock or draws a random number.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::domain::clock::{Clock, TimeSource};
use crate::domain::random::{Random, RandomSource};

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// The machine's clock as a [`Clock`].
    pub fn clock() -> Clock {
        Clock::new(Self {
            origin: Instant::now(),
        })
    }
}

impl TimeSource for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// The machine's source of randomness: a cryptographically secure generator of each thread, seeded
/// by the operating system.
#[derive(Debug)]
pub struct SystemRandom;

impl SystemRandom {
    /// The machine's source of randomness as a [`Random`].
    pub fn random() -> Random {
        Random::new(Self)
    }
}

impl RandomSource for SystemRandom {
    fn next_u64(&self) -> u64 {
        rand::random()
    }
}
