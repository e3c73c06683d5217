//! Up to when everything that API processes answered is in Postgres.
//!
//! A cart that Redis lost is restored from the log of attempts. The log is whole up to a time once
//! every process that answers has published a watermark of that time or later. All times are those
//! of the Postgres server, so that the clocks of processes do not matter.

/// A process that has not published for this long, in microseconds, is dead: its attempts are in
/// streams, and nobody waits for it.
pub const DEAD_AFTER_US: i64 = 15_000_000;

/// What one process has published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    /// The process.
    pub process: u64,
    /// Everything that it answered before is in Postgres; Unix time in microseconds.
    pub settled_through_us: i64,
    /// When it published this, Unix time in microseconds.
    pub seen_us: i64,
}

/// What all processes of a FlashSale have published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermarks {
    /// The present time of the server, Unix time in microseconds.
    pub now_us: i64,
    /// One for each process.
    pub of_processes: Vec<Watermark>,
}

impl Watermarks {
    /// Whether everything that was answered before `time_us` is in Postgres, but for what dead
    /// processes answered. `steady_since_us` is since when the reader has had answers of Postgres
    /// without a pause: while Postgres is away nobody can publish, and nobody is dead for it.
    pub fn cover(&self, time_us: i64, steady_since_us: i64) -> bool {
        let is_dead = |watermark: &Watermark| {
            let silent_since_us = watermark.seen_us.max(steady_since_us);
            self.now_us.saturating_sub(silent_since_us) > DEAD_AFTER_US
        };
        self.of_processes
            .iter()
            .all(|watermark| watermark.settled_through_us >= time_us || is_dead(watermark))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: i64 = 1_000_000;

    fn watermarks(of_processes: &[(i64, i64)]) -> Watermarks {
        let watermark = |(process, (settled_through_us, seen_us)): (u64, &(i64, i64))| Watermark {
            process,
            settled_through_us: settled_through_us * SECOND_US,
            seen_us: seen_us * SECOND_US,
        };
        Watermarks {
            now_us: 100 * SECOND_US,
            of_processes: (0..).zip(of_processes).map(watermark).collect(),
        }
    }

    #[test]
    fn every_process_that_is_not_dead_must_have_settled() {
        let cover = |of_processes, time| watermarks(of_processes).cover(time * SECOND_US, 0);
        assert!(cover(&[], 90));
        assert!(cover(&[(90, 99), (95, 99)], 90));
        assert!(!cover(&[(89, 99), (95, 99)], 90));
        assert!(cover(&[(50, 84), (95, 99)], 90), "silent for 16 seconds");
        assert!(!cover(&[(50, 85), (95, 99)], 90), "silent for 15 seconds");
    }

    #[test]
    fn nobody_is_dead_for_the_time_in_which_postgres_was_away() {
        let silent = watermarks(&[(50, 50)]);
        assert!(silent.cover(90 * SECOND_US, 0));
        assert!(!silent.cover(90 * SECOND_US, 90 * SECOND_US));
        assert!(!silent.cover(90 * SECOND_US, i64::MAX));
    }
}
