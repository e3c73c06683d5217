//! What follows a node's reply: an answer, another node, the same node later, or an error.
//!
//! Guarantees: pure; every second and later wait is longer than the one before, up to a bound, so
//! that nodes that point at each other are not asked without a pause.

use std::time::Duration;

use redis::Value;

use super::address::NodeAddress;
use super::node::{Later, NodeReply};
use super::slot_map::Slot;

/// The first wait of a call, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(80));

/// Redirections of one call that are followed without a pause.
const REDIRECTS_AT_ONCE: u32 = 3;

/// What follows a reply.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// The call has its answer.
    Done(Value),
    /// The server refused the command for good.
    Refused {
        /// The first word of the error.
        code: Option<String>,
        /// The whole error.
        message: String,
    },
    /// The slot has another owner, which is asked after the pause.
    Moved {
        /// The slot.
        slot: Slot,
        /// Its owner; none where it has to be found out.
        to: Option<NodeAddress>,
        /// How long to wait first.
        pause: Duration,
    },
    /// Another node gets this one command.
    Ask(NodeAddress),
    /// The owner of the slot is asked again after the pause.
    Again {
        /// How long to wait first.
        pause: Duration,
        /// Whether the slot map may be out of date.
        is_map_stale: bool,
    },
}

/// The replies that a call has got so far.
#[derive(Debug, Default)]
pub(super) struct Replies {
    redirects: u32,
    waits: u32,
    /// Why the last node could not run the command.
    pub(super) last_refusal: Option<Later>,
}

impl Replies {
    /// What follows a reply.
    pub(super) fn next(&mut self, reply: NodeReply) -> Next {
        match reply {
            NodeReply::Answer(value) => Next::Done(value),
            NodeReply::Error { code, message } => Next::Refused { code, message },
            NodeReply::Moved { slot, to } => {
                let pause = self.redirect_pause(to.is_some());
                Next::Moved { slot, to, pause }
            }
            NodeReply::Ask { to: Some(to) } => {
                self.redirects += 1;
                Next::Ask(to)
            }
            NodeReply::Ask { to: None } => self.again(true),
            NodeReply::Later(later) => {
                self.last_refusal = Some(later);
                self.again(!matches!(later, Later::TryAgain | Later::Loading))
            }
        }
    }

    fn again(&mut self, is_map_stale: bool) -> Next {
        Next::Again {
            pause: self.next_pause(),
            is_map_stale,
        }
    }

    fn redirect_pause(&mut self, has_address: bool) -> Duration {
        self.redirects += 1;
        match has_address && self.redirects <= REDIRECTS_AT_ONCE {
            true => Duration::ZERO,
            false => self.next_pause(),
        }
    }

    fn next_pause(&mut self) -> Duration {
        let (first, longest) = PAUSES;
        let pause = first * 2_u32.pow(self.waits.min(8));
        self.waits += 1;
        pause.min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(ms: u64, is_map_stale: bool) -> Next {
        Next::Again {
            pause: Duration::from_millis(ms),
            is_map_stale,
        }
    }

    #[test]
    fn waits_grow_up_to_their_bound() {
        let mut replies = Replies::default();
        let mut wait = || replies.next(NodeReply::Later(Later::TryAgain));
        for ms in [10, 20, 40, 80, 80, 80] {
            assert_eq!(wait(), again(ms, false));
        }
        assert_eq!(replies.last_refusal, Some(Later::TryAgain));
    }

    #[test]
    fn a_node_that_is_no_master_any_more_makes_the_slot_map_stale() {
        for (later, is_map_stale) in [
            (Later::TryAgain, false),
            (Later::Loading, false),
            (Later::ClusterDown, true),
            (Later::ReadOnly, true),
            (Later::MasterDown, true),
        ] {
            let next = Replies::default().next(NodeReply::Later(later));
            assert_eq!(next, again(10, is_map_stale), "{later:?}");
        }
    }

    #[test]
    fn nodes_that_point_at_each_other_are_asked_with_pauses() {
        let (mut replies, slot) = (Replies::default(), Slot::of_key("k"));
        let mut moved = |to: Option<NodeAddress>| match replies.next(NodeReply::Moved { slot, to })
        {
            Next::Moved { pause, .. } => pause.as_millis(),
            other => panic!("{other:?}"),
        };
        let to = || Some(NodeAddress::new("a", 1));
        let pauses = [to(), to(), to(), to(), to()].map(&mut moved);
        assert_eq!(pauses, [0, 0, 0, 10, 20]);
        assert_eq!(moved(None), 40, "the owner has to be found out first");
    }
}
