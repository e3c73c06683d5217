//! Watches calls to one node, and opens and closes its breaker.
//!
//! Guarantees: a node that answers nothing for [`SILENCE_LIMIT`] while a call waits is away, and so
//! is one that refuses connections; a node that answers other calls is not away, however long one
//! call takes; a call that waits for a silent node continues at the new owner of its slot as soon
//! as the slot map has one, and is given up [`LATE_ANSWER_LIMIT`] after the node counts as away.

use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;

use super::breaker::{Away, AwayReason};
use super::failure::Failure;
use super::node::{Node, NodeFault, NodeResult, Nodes};
use super::slot_map::Slot;
use super::state::{Cluster, Target};
use super::timeouts::{LATE_ANSWER_LIMIT, SILENCE_LIMIT};
use super::{probe, report};

impl<N: Nodes> Cluster<N> {
    /// Sends a command and watches for silence. Returns nothing where the slot has got another
    /// owner, while the node was silent.
    pub(super) async fn call_until_moved(
        self: &Arc<Self>,
        node: &Target<N>,
        slot: Slot,
        command: &Cmd,
        limit: Duration,
    ) -> Option<NodeResult> {
        let mut answers = node.breaker.answers();
        let call = node.connection.call(command, limit);
        tokio::pin!(call);
        loop {
            if let Ok(result) = tokio::time::timeout(SILENCE_LIMIT, &mut call).await {
                return Some(self.noted(node, result));
            }
            if node.breaker.answers() == answers {
                self.note_silence(node, SILENCE_LIMIT);
                break;
            }
            answers = node.breaker.answers();
        }
        // The call goes on for a moment: its answer closes the breaker.
        tokio::select! {
            biased;
            result = &mut call => Some(self.noted(node, result)),
            () = self.routes.moved_away(slot, node) => None,
            () = tokio::time::sleep(LATE_ANSWER_LIMIT) => Some(Err(NodeFault::TimedOut)),
        }
    }

    /// Waits for a command that no other node could run instead, and watches for silence.
    pub(super) async fn watched(
        self: &Arc<Self>,
        node: &Target<N>,
        call: impl Future<Output = NodeResult>,
    ) -> NodeResult {
        let answers = node.breaker.answers();
        tokio::pin!(call);
        if let Ok(result) = tokio::time::timeout(SILENCE_LIMIT, &mut call).await {
            return self.noted(node, result);
        }
        if node.breaker.answers() == answers {
            self.note_silence(node, SILENCE_LIMIT);
        }
        let result = call.await;
        self.noted(node, result)
    }

    /// Notes that the node answered, where it did.
    pub(super) fn noted(&self, node: &Target<N>, result: NodeResult) -> NodeResult {
        if result.is_ok()
            && let Some(ended) = node.breaker.note_answer()
        {
            report::node_is_back(self, node, &ended);
        }
        result
    }

    /// Notes that the node answered nothing for some time.
    pub(super) fn note_silence(self: &Arc<Self>, node: &Target<N>, after: Duration) {
        self.note_away(node, AwayReason::Silent(after));
    }

    /// Why a call fails, after a fault of the node, which may be away now.
    pub(super) fn failure(self: &Arc<Self>, node: &Target<N>, fault: NodeFault) -> Failure {
        match fault {
            NodeFault::TimedOut => {}
            NodeFault::Disconnected(why) | NodeFault::Unreachable(why) => {
                self.note_away(node, AwayReason::Unreachable(why));
            }
        }
        match node.breaker.away() {
            Some(away) => Failure::Away(node.address.clone(), away),
            None => Failure::OutOfTime(None),
        }
    }

    fn note_away(self: &Arc<Self>, node: &Target<N>, why: AwayReason) {
        let since = self.clock.now();
        let Some(opening) = node.breaker.open(Away { since, why }) else {
            return;
        };
        report::node_is_away(self, node);
        // The other nodes may have a new owner of its slots.
        self.refresh.request();
        probe::spawn(self, node, opening);
    }
}
