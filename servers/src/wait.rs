//! Waiting for a condition, always with an end.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Short beside a server's start, long beside the cost of one check.
const PAUSE: Duration = Duration::from_millis(10);

/// Checks until `check` finds something or `limit` has passed; at least once.
pub(crate) fn poll<T, E>(
    limit: Duration,
    mut check: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = check()? {
            return Ok(Some(found));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}
