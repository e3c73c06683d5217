//! The router: sends each call to the node that owns its slot.
//!
//! Guarantees: a call ends within [`CALL_TIMEOUT`], redirections and waits included; a call waits
//! for one node at a time, and never for one that its slot does not need; a node that is away costs
//! its callers no time.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};

use super::blocking_reads::BlockingReads;
use super::failure::Failure;
use super::node::{Later, Node, NodeFault, NodeReply, NodeResult, Nodes};
use super::redirect::{Next, Replies};
use super::report;
use super::routes::RoutedNode;
use super::slot_map::Slot;
use super::state::{Cluster, Target};
use super::timeouts::CALL_TIMEOUT;
use crate::domain::clock::Timer;

/// A command and where it belongs.
#[derive(Debug)]
pub(super) struct Call<'a, N: Nodes> {
    pub slot: Slot,
    pub command: &'a Cmd,
    /// The connections for a command that may block; none for the shared ones.
    pub reads: Option<&'a BlockingReads<N::Node>>,
}

impl<N: Nodes> Cluster<N> {
    /// Sends a command to the owner of its slot, and to whom that redirects it.
    pub(super) async fn call(
        self: &Arc<Self>,
        call: &Call<'_, N>,
        timer: &Timer,
    ) -> Result<Value, Failure> {
        let mut replies = Replies::default();
        // The node that gets the next command, behind ASKING, and none after it.
        let mut asked = None;
        loop {
            let reply = match asked.take() {
                Some(node) => self.send(&node, call, true, timer).await,
                None => match self.routes.owner(call.slot) {
                    Some(node) => self.send(&node, call, false, timer).await,
                    None => Ok(Some((NodeReply::Later(Later::ClusterDown), false))),
                },
            };
            let (reply, is_refusing) = match reply {
                Ok(Some(reply)) => reply,
                // The slot has another owner by now.
                Ok(None) => continue,
                Err(Failure::OutOfTime(None)) => {
                    return Err(Failure::OutOfTime(replies.last_refusal));
                }
                Err(failure) => return Err(failure),
            };
            match replies.next(reply) {
                Next::Done(value) => return Ok(value),
                Next::Refused { code, message } => return Err(Failure::Refused { code, message }),
                Next::Ask(to) => {
                    self.metrics.redis_nodes.asked.inc();
                    asked = Some(self.routes.find_or_add(&to));
                }
                Next::Moved { slot, to, pause } => {
                    self.metrics.redis_nodes.moved.inc();
                    if let Some(to) = to {
                        self.routes.move_slot(slot, &to);
                        report::publish(self);
                    }
                    self.refresh.request();
                    wait(pause, timer).await;
                }
                Next::Again {
                    pause,
                    is_map_stale,
                } => {
                    self.metrics.redis_nodes.refused.inc();
                    if is_map_stale {
                        self.refresh.request();
                    }
                    if is_refusing {
                        return Err(Failure::OutOfTime(replies.last_refusal));
                    }
                    wait(pause, timer).await;
                }
            }
        }
    }

    /// Sends a command without a key to one node.
    pub(super) async fn call_node(
        self: &Arc<Self>,
        node: &Target<N>,
        command: &Cmd,
    ) -> Result<Value, Failure> {
        let timer = self.clock.start_timer();
        let mut replies = Replies::default();
        loop {
            check_not_away(node)?;
            let left = || time_left(&timer).ok_or(Failure::OutOfTime(replies.last_refusal));
            let call = |limit| self.watched(node, node.connection.call(command, limit));
            let mut result = call(left()?).await;
            if let Err(NodeFault::Disconnected(_)) = result {
                result = call(left()?).await;
            }
            let reply = result.map_err(|fault| self.failure(node, fault))?;
            match replies.next(reply) {
                Next::Done(value) => return Ok(value),
                Next::Refused { code, message } => return Err(Failure::Refused { code, message }),
                // Without a key nothing is redirected.
                Next::Again { pause, .. } | Next::Moved { pause, .. } => wait(pause, &timer).await,
                Next::Ask(_) => {}
            }
        }
    }

    /// Sends a command to a node. Returns its reply, with whether it has refused for so long that no
    /// call waits for it; nothing where the slot has got another owner meanwhile.
    async fn send(
        self: &Arc<Self>,
        node: &Target<N>,
        call: &Call<'_, N>,
        is_asking: bool,
        timer: &Timer,
    ) -> Result<Option<(NodeReply, bool)>, Failure> {
        check_not_away(node)?;
        let mut result = self.send_once(node, call, is_asking, timer).await?;
        if let Some(Err(NodeFault::Disconnected(_))) = result {
            // A server closes connections that were idle. One that has ended refuses a new one.
            result = self.send_once(node, call, is_asking, timer).await?;
        }
        match result {
            None => Ok(None),
            Some(Ok(reply)) => {
                let is_refusing = node.refusals.note(&reply, &self.clock);
                Ok(Some((reply, is_refusing)))
            }
            Some(Err(fault)) => Err(self.failure(node, fault)),
        }
    }

    async fn send_once(
        self: &Arc<Self>,
        node: &Target<N>,
        call: &Call<'_, N>,
        is_asking: bool,
        timer: &Timer,
    ) -> Result<Option<NodeResult>, Failure> {
        let limit = time_left(timer).ok_or(Failure::OutOfTime(None))?;
        let command = call.command;
        Ok(match call.reads {
            _ if is_asking => {
                let call = node.connection.call_asking(command, limit);
                // Boxed: rare, and the future of every call would have its size.
                Some(Box::pin(self.watched(node, call)).await)
            }
            Some(reads) => Some(self.read(node, reads, command, limit).await),
            None => self.call_until_moved(node, call.slot, command, limit).await,
        })
    }

    /// Sends a command that may block over a connection of its own.
    async fn read(
        self: &Arc<Self>,
        node: &Target<N>,
        reads: &BlockingReads<N::Node>,
        command: &Cmd,
        limit: Duration,
    ) -> NodeResult {
        let answers = node.breaker.answers();
        let connection = reads.connection(self.routes.nodes(), &node.address);
        let result = connection.call(command, limit).await;
        if matches!(result, Err(NodeFault::TimedOut)) && node.breaker.answers() == answers {
            self.note_silence(node, limit);
        }
        self.noted(node, result)
    }
}

/// Fails where the node is away.
fn check_not_away<C>(node: &RoutedNode<C>) -> Result<(), Failure> {
    match node.breaker.away() {
        None => Ok(()),
        Some(away) => Err(Failure::Away(node.address.clone(), away)),
    }
}

/// What is left of the time of a call.
fn time_left(timer: &Timer) -> Option<Duration> {
    let left = CALL_TIMEOUT.saturating_sub(timer.elapsed());
    (!left.is_zero()).then_some(left)
}

/// Waits, but not beyond the time of the call.
async fn wait(pause: Duration, timer: &Timer) {
    if let Some(left) = time_left(timer).filter(|_| !pause.is_zero()) {
        tokio::time::sleep(pause.min(left)).await;
    }
}
