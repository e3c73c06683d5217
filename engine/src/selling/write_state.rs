//! Whether Postgres takes the commits of this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::domain::error::BackendError;

/// What the last commit found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteState {
    /// Commits succeed.
    Taken,
    /// The server takes no writes and answers reads.
    ReadOnly,
    /// Commits fail.
    Away,
}

/// The present state. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedWriteState(Arc<AtomicU8>);

impl SharedWriteState {
    /// What the last commit found.
    pub(crate) fn get(&self) -> WriteState {
        match self.0.load(Ordering::Relaxed) {
            0 => WriteState::Taken,
            1 => WriteState::ReadOnly,
            _ => WriteState::Away,
        }
    }

    /// Notes that a commit succeeded.
    pub(crate) fn note_taken(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Notes why a commit failed.
    pub(crate) fn note_failure(&self, error: &BackendError) {
        let state = if error.is_read_only() { 1 } else { 2 };
        self.0.store(state, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_commit_decides() {
        let state = SharedWriteState::default();
        assert_eq!(state.get(), WriteState::Taken);
        state.note_failure(&BackendError::read_only("commit_orders"));
        assert_eq!(state.get(), WriteState::ReadOnly);
        state.note_failure(&BackendError::Away);
        assert_eq!(state.get(), WriteState::Away);
        state.note_taken();
        assert_eq!(state.get(), WriteState::Taken);
    }
}
