//! Counts of what large sales sold, which are used again for a while.
//!
//! Guarantees: while a sale is open an observer that reads it every second takes Postgres at most
//! about one fiftieth of a core for its count. A count that is used again is at most
//! [`LONGEST_USE`] old, and a sale that is closed, or has sold less than [`COUNTED_EACH_TIME`] items,
//! is counted each time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::clock::{Clock, Timer};

/// Sales that sold less are counted at each read: that takes some milliseconds.
const COUNTED_EACH_TIME: i64 = 20_000;

/// How long a count is used for each item in it: fifty times what it takes Postgres to count one,
/// about half a microsecond.
const USE_PER_ITEM: Duration = Duration::from_micros(25);

/// How long a count is used at the most.
const LONGEST_USE: Duration = Duration::from_secs(10);

/// The counts that a pool of connections has read.
#[derive(Debug, Default)]
pub(super) struct SoldCounts {
    of_sales: Mutex<HashMap<String, Count>>,
}

#[derive(Debug)]
struct Count {
    sold: i64,
    age: Timer,
}

impl SoldCounts {
    /// The counts that are used again, by sale. Forgets the others.
    pub(super) fn known(&self) -> HashMap<String, i64> {
        let mut counts = self.of_sales.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|_, count| count.age.elapsed() < used_for(count.sold));
        let known = counts.iter().map(|(id, count)| (id.clone(), count.sold));
        known.collect()
    }

    /// Keeps a count that Postgres has made.
    pub(super) fn keep(&self, sale: &str, sold: i64, clock: &Clock) {
        if used_for(sold).is_zero() {
            return;
        }
        let age = clock.start_timer();
        let mut counts = self.of_sales.lock().unwrap_or_else(PoisonError::into_inner);
        counts.insert(sale.to_owned(), Count { sold, age });
    }
}

fn used_for(sold: i64) -> Duration {
    if sold < COUNTED_EACH_TIME {
        return Duration::ZERO;
    }
    let items = u32::try_from(sold).unwrap_or(u32::MAX);
    USE_PER_ITEM.saturating_mul(items).min(LONGEST_USE)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use jiff::Timestamp;

    use super::*;
    use crate::domain::clock::TimeSource;

    /// A clock of milliseconds that a test sets.
    #[derive(Debug, Clone, Default)]
    struct Milliseconds(Arc<AtomicU64>);

    impl TimeSource for Milliseconds {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn a_large_count_is_used_for_fifty_times_as_long_as_it_takes() {
        let now = Milliseconds::default();
        let (counts, clock) = (SoldCounts::default(), Clock::new(now.clone()));
        for (sale, sold) in [("small", 19_999), ("large", 40_000), ("vast", 2_000_000)] {
            counts.keep(sale, sold, &clock);
        }
        let known_after = |ms| {
            now.0.store(ms, Ordering::Relaxed);
            let mut known: Vec<_> = counts.known().into_iter().collect();
            known.sort();
            known
        };
        let (large, vast) = (("large".to_owned(), 40_000), ("vast".to_owned(), 2_000_000));
        assert_eq!(known_after(999), [large, vast.clone()]);
        assert_eq!(known_after(1_000), std::slice::from_ref(&vast));
        assert_eq!(known_after(9_999), [vast]);
        assert_eq!(known_after(10_000), []);
    }
}
