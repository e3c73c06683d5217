//! A latency histogram with log-linear buckets, as HdrHistogram has them.
//!
//! Promises a relative error below 1% for every value up to 2^40 µs, in a fixed
//! 36 KiB, without an allocation per value. It never drops a value: what is
//! longer than the range counts in the last bucket.

use std::time::Duration;

/// Values below this many µs have a bucket each.
const LINEAR_BITS: u32 = 7;
const LINEAR: u64 = 1 << LINEAR_BITS;
/// Buckets per power of two above that.
const PER_DOUBLING: u64 = LINEAR;
const MAX_BITS: u32 = 40;
const BUCKETS: usize = (LINEAR + (MAX_BITS - LINEAR_BITS) as u64 * PER_DOUBLING) as usize;

/// Counts latencies by µs.
#[derive(Clone)]
pub struct Histogram {
    counts: Box<[u64]>,
    count: u64,
    max_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS].into_boxed_slice(),
            count: 0,
            max_us: 0,
        }
    }
}

impl Histogram {
    /// Counts one latency.
    pub fn record(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket_of(us)] += 1;
        self.count += 1;
        self.max_us = self.max_us.max(us);
    }

    /// Adds what another histogram has counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max_us = self.max_us.max(other.max_us);
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.count = 0;
        self.max_us = 0;
    }

    /// How many latencies were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest latency in milliseconds, exact to the µs; 0 when empty.
    #[must_use]
    pub fn max_ms(&self) -> f64 {
        to_ms(self.max_us)
    }

    /// The latency in milliseconds that `percent` (0 to 100) of all did not exceed;
    /// 0 when empty. Rounded up to the end of its bucket, never above the maximum.
    #[must_use]
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let rank = (percent / 100.0 * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return to_ms(last_us_of(bucket).min(self.max_us));
            }
        }
        self.max_ms()
    }
}

fn to_ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

fn bucket_of(us: u64) -> usize {
    if us < LINEAR {
        return us as usize;
    }
    let doubling = u64::from(63 - us.leading_zeros() - LINEAR_BITS);
    let within = (us >> doubling) - LINEAR;
    // The first doubling starts where the linear part ends.
    let bucket = LINEAR + doubling * PER_DOUBLING + within;
    (bucket as usize).min(BUCKETS - 1)
}

fn last_us_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < LINEAR {
        return bucket;
    }
    if bucket as usize == BUCKETS - 1 {
        return u64::MAX;
    }
    let doubling = (bucket - LINEAR) / PER_DOUBLING;
    let within = (bucket - LINEAR) % PER_DOUBLING;
    ((LINEAR + within + 1) << doubling) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_ramp_are_within_one_percent() {
        let mut histogram = Histogram::default();
        for us in 1..=100_000 {
            histogram.record(Duration::from_micros(us));
        }
        for percent in [1.0, 50.0, 95.0, 99.0, 99.9] {
            let exact = percent; // 100,000 µs are 100 ms: a percent is a millisecond
            let found = histogram.percentile_ms(percent);
            assert!(
                (found - exact).abs() <= exact * 0.01,
                "p{percent}: {found} ms"
            );
        }
        assert!((histogram.max_ms() - 100.0).abs() < f64::EPSILON);
        assert!((histogram.percentile_ms(100.0) - 100.0).abs() < f64::EPSILON);
    }

    #[test]
    fn buckets_follow_each_other_without_gap_or_overlap() {
        for bucket in 0..BUCKETS - 2 {
            let last = last_us_of(bucket);
            assert_eq!(bucket_of(last), bucket);
            assert_eq!(bucket_of(last + 1), bucket + 1);
        }
    }

    #[test]
    fn a_latency_beyond_the_range_is_still_counted_and_is_the_maximum() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::from_secs(u64::from(u32::MAX)));
        assert_eq!(histogram.count(), 1);
        assert!(histogram.percentile_ms(50.0) >= 4.0e12);
    }

    #[test]
    fn merging_is_the_same_as_recording_into_one() {
        let (mut left, mut right) = (Histogram::default(), Histogram::default());
        left.record(Duration::from_millis(1));
        right.record(Duration::from_millis(9));
        left.merge(&right);
        assert_eq!(left.count(), 2);
        assert!((left.max_ms() - 9.0).abs() < f64::EPSILON);
        left.clear();
        assert_eq!((left.count(), left.percentile_ms(99.0)), (0, 0.0));
    }
}
