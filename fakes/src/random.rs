//! The randomness of tests: it repeats from an rng seed.

use std::sync::atomic::{AtomicU64, Ordering};

use flashsale_engine::{Random, RandomSource};

/// SplitMix64: the same rng seed gives the same numbers. It is not cryptographically secure.
#[derive(Debug)]
pub struct TestRandom {
    state: AtomicU64,
}

/// The increment of SplitMix64.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl TestRandom {
    /// A source that starts from this rng seed.
    pub fn from_seed(rng_seed: u64) -> Random {
        Random::new(Self {
            state: AtomicU64::new(rng_seed),
        })
    }
}

impl RandomSource for TestRandom {
    fn next_u64(&self) -> u64 {
        let before = self.state.fetch_add(GOLDEN_GAMMA, Ordering::Relaxed);
        let mut z = before.wrapping_add(GOLDEN_GAMMA);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
