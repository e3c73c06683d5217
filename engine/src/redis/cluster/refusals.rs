//! How long a node has refused everything.
//!
//! Guarantees: the first calls that a node refuses for now wait for it; once the node has refused
//! for [`REFUSAL_LIMIT`] and run nothing in between, a refusal fails its call at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::node::{Later, NodeReply};
use super::timeouts::REFUSAL_LIMIT;
use crate::domain::clock::{Clock, Timer};

/// The refusals of one node.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Whether `since` is set: callers read it at each reply.
    has_begun: AtomicBool,
    since: Mutex<Option<Timer>>,
}

impl Refusals {
    /// Notes a reply. Returns whether the node has refused for so long that no call waits for it.
    pub(super) fn note(&self, reply: &NodeReply, clock: &Clock) -> bool {
        match reply {
            // A slot that migrates says nothing of the others.
            NodeReply::Later(Later::TryAgain) => false,
            NodeReply::Later(_) => {
                let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
                let since = since.get_or_insert_with(|| clock.start_timer());
                self.has_begun.store(true, Ordering::Relaxed);
                since.elapsed() >= REFUSAL_LIMIT
            }
            _ => {
                if self.has_begun.load(Ordering::Relaxed) {
                    self.has_begun.store(false, Ordering::Relaxed);
                    *self.since.lock().unwrap_or_else(PoisonError::into_inner) = None;
                }
                false
            }
        }
    }
}
