//! The adapter of [`Redis`] to a Redis Cluster: a router that isolates nodes.
//!
//! Guarantees: no call waits longer than [`CALL_TIMEOUT`]; a node that hangs or is dead costs its
//! own slots, and nothing waits for all nodes; while it is away, calls that need it fail at once
//! with [`BackendError::NodeAway`], until it answers or its slots have another owner.
//!
//! One file for each idea: the call of a slot ([`router`]), what follows a reply ([`redirect`]),
//! silence and faults ([`watch`], [`breaker`], [`probe`]), time-outs ([`timeouts`]), the slot map
//! ([`slot_map`], [`routes`], [`refresh`]). Below is seam N ([`node`]), one command to one node, with
//! its adapter ([`connection`]).

mod address;
mod blocking_reads;
mod breaker;
mod connection;
mod failure;
mod node;
mod probe;
mod redirect;
mod refresh;
mod refusals;
mod report;
mod router;
mod routes;
mod seeds;
mod slot_map;
mod state;
mod timeouts;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::future::{join_all, select_ok};
use redis::{Cmd, Value};

pub use address::NodeAddress;
pub use connection::NodeConnections;
pub use node::{Later, Node, NodeFault, NodeReply, NodeResult, Nodes};
pub use slot_map::Slot;
pub use timeouts::CALL_TIMEOUT;

use crate::domain::certificates::Certificates;
use crate::domain::clock::Clock;
use crate::domain::error::BackendError;
use crate::observability::metrics::Metrics;
use crate::redis::commands::{MasterAnswer, NodeState, Redis};
use blocking_reads::BlockingReads;
use router::Call;
use routes::Routes;
use seeds::Seeds;
use state::{Cluster, Target};

/// A handle to a cluster of real nodes.
pub type RedisCluster = Router<NodeConnections>;

/// A handle to a cluster; clones share its connection to each node. One is enough: calls are
/// batched before they come here, and those that still come together share a write.
pub struct Router<N: Nodes> {
    cluster: Arc<Cluster<N>>,
    /// The connection of a handle for blocking reads; none for the shared ones.
    reads: Option<Arc<BlockingReads<N::Node>>>,
}

impl<N: Nodes> Clone for Router<N> {
    fn clone(&self) -> Self {
        Self {
            cluster: self.cluster.clone(),
            reads: self.reads.clone(),
        }
    }
}

impl<N: Nodes> std::fmt::Debug for Router<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisCluster")
    }
}

impl RedisCluster {
    /// Connects to the cluster that the nodes of `url` belong to (`redis://host:port`, comma
    /// separated; any node will do). With `rediss://`, the certificates verify the servers and
    /// this client.
    pub async fn connect(
        url: &str,
        certificates: &Certificates,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Result<Self, BackendError> {
        let seeds = Seeds::parse(url)?;
        let nodes = NodeConnections::new(&seeds, certificates)?;
        Self::join(nodes, seeds.addresses, metrics, clock).await
    }

    /// Checks the URL of a cluster as [`RedisCluster::connect`] does, without connecting.
    pub fn check_url(url: &str) -> Result<(), BackendError> {
        Seeds::parse(url).map(drop)
    }
}

impl<N: Nodes> Router<N> {
    /// Reads the slot map from the first of the seeds that has one; all are asked at once.
    pub async fn join(
        nodes: N,
        seeds: Vec<NodeAddress>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Result<Self, BackendError> {
        let ask = |seed: &NodeAddress| {
            let (node, seed) = (nodes.node(seed), seed.clone());
            Box::pin(async move { refresh::read_slot_map(&node, &seed, CALL_TIMEOUT).await })
        };
        if seeds.is_empty() {
            return Err(BackendError::unexpected(
                "the URL of Redis",
                "nodes",
                "none",
            ));
        }
        let (announced, _) = select_ok(seeds.iter().map(ask)).await?;
        let cluster = Arc::new(Cluster {
            routes: Routes::new(nodes, announced),
            seeds,
            refresh: Arc::default(),
            metrics,
            clock,
        });
        report::publish(&cluster);
        refresh::spawn(&cluster);
        Ok(Self {
            cluster,
            reads: None,
        })
    }

    fn masters(&self) -> Vec<Target<N>> {
        let map = self.cluster.routes.map();
        let masters = map.masters().iter().zip(map.slot_counts());
        let with_slots = masters.filter(|(_, slots)| *slots > 0);
        with_slots.map(|(master, _)| master.clone()).collect()
    }
}

impl<N: Nodes> Redis for Router<N> {
    async fn call(
        &self,
        operation: &'static str,
        key: &str,
        command: &Cmd,
    ) -> Result<Value, BackendError> {
        let call = Call {
            slot: Slot::of_key(key),
            command,
            reads: self.reads.as_deref(),
        };
        let timer = self.cluster.clock.start_timer();
        let answer = self.cluster.call(&call, &timer).await;
        self.cluster.metrics.time_redis(operation, timer.elapsed());
        answer.map_err(|failure| failure.into_backend_error(operation))
    }

    async fn call_all_masters(&self, operation: &'static str, command: &Cmd) -> Vec<MasterAnswer> {
        let call = |master: Target<N>| async move {
            let answer = self.cluster.call_node(&master, command).await;
            MasterAnswer {
                node: master.address.to_string(),
                answer: answer.map_err(|failure| failure.into_backend_error(operation)),
            }
        };
        let calls: Vec<_> = self.masters().into_iter().map(call).collect();
        join_all(calls).await
    }

    async fn stream_reader(&self) -> Result<Self, BackendError> {
        Ok(Self {
            cluster: self.cluster.clone(),
            reads: Some(Arc::default()),
        })
    }

    fn nodes(&self) -> Vec<NodeState> {
        report::states(&self.cluster)
    }
}
