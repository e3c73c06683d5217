//! Randomness as a value that `main` passes in.
//!
//! Guarantees: the engine draws random numbers from a [`Random`] and from nothing else, so that a
//! test or a simulation replays them from an rng seed.

use std::fmt::Debug;
use std::sync::Arc;

/// A source of random numbers. The machine's implementation is [`crate::system::SystemRandom`].
///
/// Checkout codes are bearer tokens, so a source in production must be cryptographically secure.
pub trait RandomSource: Debug + Send + Sync {
    /// 64 random bits.
    fn next_u64(&self) -> u64;
}

/// A handle to a [`RandomSource`]; clones share it.
#[derive(Debug, Clone)]
pub struct Random(Arc<dyn RandomSource>);

impl Random {
    /// Wraps a source of random numbers.
    pub fn new(source: impl RandomSource + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// 64 random bits.
    pub fn next_u64(&self) -> u64 {
        self.0.next_u64()
    }

    /// 128 random bits.
    pub fn next_u128(&self) -> u128 {
        (u128::from(self.0.next_u64()) << 64) | u128::from(self.0.next_u64())
    }
}
