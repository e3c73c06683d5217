//! A bound for look-ups in Postgres that anybody can cause.
//!
//! Guarantees: whoever causes many of one kind takes a few connections at the most; beyond a bound
//! they fail at once, and a look-up that waits for others fails after a while.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::domain::error::BackendError;

/// Look-ups of one kind that run at once.
const RUNNING: usize = 2;

/// Look-ups of one kind that run or wait; what comes beyond them fails.
const ADMITTED: usize = 64;

/// How long a look-up waits for others.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

const FULL: BackendError = BackendError::Full {
    queue: "the queue of look-ups in Postgres",
};

/// The look-ups of one kind.
#[derive(Debug)]
pub(crate) struct LookupLimit {
    admitted: Semaphore,
    running: Semaphore,
}

/// The right to look something up.
#[derive(Debug)]
pub(crate) struct Lookup<'a> {
    _running: SemaphorePermit<'a>,
    _admitted: SemaphorePermit<'a>,
}

impl Default for LookupLimit {
    fn default() -> Self {
        Self {
            admitted: Semaphore::new(ADMITTED),
            running: Semaphore::new(RUNNING),
        }
    }
}

impl LookupLimit {
    /// Waits until a look-up may run; an error where too many wait, or for too long.
    pub(crate) async fn begin(&self) -> Result<Lookup<'_>, BackendError> {
        let admitted = self.admitted.try_acquire().map_err(|_| FULL)?;
        let running = tokio::time::timeout(LONGEST_WAIT, self.running.acquire()).await;
        match running {
            Ok(Ok(running)) => Ok(Lookup {
                _running: running,
                _admitted: admitted,
            }),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(FULL),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn look_ups_beyond_the_bound_are_refused_and_those_within_it_wait() {
        let limit = LookupLimit::default();
        let mut running = Vec::new();
        for _ in 0..RUNNING {
            running.push(limit.begin().await.unwrap());
        }
        let mut waiting: Vec<_> = (RUNNING..ADMITTED)
            .map(|_| Box::pin(limit.begin()))
            .collect();
        for lookup in &mut waiting {
            assert!(futures_util::poll!(lookup.as_mut()).is_pending());
        }
        let refused = limit.begin().await.unwrap_err();
        assert!(matches!(refused, BackendError::Full { .. }));
        drop(running);
        assert!(futures_util::poll!(waiting[0].as_mut()).is_ready());
    }
}
