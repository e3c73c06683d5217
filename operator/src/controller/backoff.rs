//! How long a failed reconciliation waits for its retry.

use std::time::Duration;

/// The wait after the first failure; it doubles with each.
pub(super) const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const LAST_RETRY: Duration = Duration::from_secs(60);

/// An exponential backoff.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        let wait = FIRST_RETRY * 2_u32.pow(self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        wait.min(LAST_RETRY)
    }

    /// Whether there was a failure since the last success.
    pub(super) fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// After a success.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_minute_and_starts_again_after_a_success() {
        let mut backoff = Backoff::default();
        let seconds = [1, 2, 4, 8, 16, 32, 60, 60].map(Duration::from_secs);
        assert_eq!(seconds.map(|_| backoff.next()), seconds);
        assert!(backoff.has_failed());
        backoff.reset();
        assert!(!backoff.has_failed());
        assert_eq!(backoff.next(), FIRST_RETRY);
    }
}
