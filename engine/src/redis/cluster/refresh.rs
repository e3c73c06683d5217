//! Refreshes the slot map in the background.
//!
//! Guarantees: one node is asked at a time; no call waits for a refresh; while a master is away the
//! others are asked several times a second, so that its promoted replica is found without it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::address::NodeAddress;
use super::node::{Node, NodeFault, NodeReply, Nodes};
use super::report;
use super::slot_map::{AnnouncedNode, SlotMap};
use super::state::{Cluster, Target};
use super::timeouts::SLOT_MAP_LIMIT;
use crate::domain::error::BackendError;

/// How often the slot map is read while all is well.
const EVERY: Duration = Duration::from_secs(5);

/// How often it is read while a master is away.
const EVERY_WHILE_AWAY: Duration = Duration::from_millis(150);

/// The least time between two reads.
const PAUSE: Duration = Duration::from_millis(50);

/// What reading the slot map is called in errors.
const OPERATION: &str = "connect";

impl<N: Nodes> Drop for Cluster<N> {
    fn drop(&mut self) {
        report::withdraw(self);
        // The background task finds that the cluster is gone, and ends.
        self.refresh.request();
    }
}

/// Refreshes until the cluster is dropped.
pub(super) fn spawn<N: Nodes>(cluster: &Arc<Cluster<N>>) {
    let signal = cluster.refresh.clone();
    let cluster = Arc::downgrade(cluster);
    tokio::spawn(async move {
        let mut turn = 0;
        while let Some(every) = pause_until_next(&cluster) {
            tokio::select! {
                () = signal.requested() => {}
                () = tokio::time::sleep(every) => {}
            }
            let Some(cluster) = cluster.upgrade() else {
                return;
            };
            turn += 1;
            refresh(&cluster, turn).await;
            drop(cluster);
            tokio::time::sleep(PAUSE).await;
        }
    });
}

fn pause_until_next<N: Nodes>(cluster: &Weak<Cluster<N>>) -> Option<Duration> {
    let map = cluster.upgrade()?.routes.map();
    let is_away = |node: &Target<N>| node.breaker.away().is_some();
    Some(match map.masters().iter().any(is_away) {
        true => EVERY_WHILE_AWAY,
        false => EVERY,
    })
}

/// Reads the slot map from the first node that has one.
async fn refresh<N: Nodes>(cluster: &Arc<Cluster<N>>, turn: usize) {
    let map = cluster.routes.map();
    // Replicas come last: a master that was replaced is one before it has the news.
    for nodes in [map.masters(), map.replicas()] {
        for node in in_turn(nodes, turn).filter(|node| node.breaker.away().is_none()) {
            let result = read_slot_map(&node.connection, &node.address, SLOT_MAP_LIMIT).await;
            if install(cluster, &node.address, result) {
                return;
            }
        }
    }
    // Where no node answers, all of them may have got other addresses.
    for seed in in_turn(&cluster.seeds, turn) {
        let node = cluster.routes.nodes().node(seed);
        let result = read_slot_map(&node, seed, SLOT_MAP_LIMIT).await;
        if install(cluster, seed, result) {
            return;
        }
    }
    cluster.metrics.redis_nodes.refreshes_failed.inc();
}

/// All elements, the first of which is another one at each turn.
fn in_turn<T>(all: &[T], turn: usize) -> impl Iterator<Item = &T> {
    let first = turn.checked_rem(all.len()).unwrap_or_default();
    all[first..].iter().chain(&all[..first])
}

fn install<N: Nodes>(
    cluster: &Arc<Cluster<N>>,
    asked: &NodeAddress,
    result: Result<SlotMap<AnnouncedNode>, BackendError>,
) -> bool {
    match result {
        Ok(map) => {
            let before = cluster.routes.install(map, cluster.clock.now());
            cluster.metrics.redis_nodes.refreshes.inc();
            report::slot_map_read(cluster, &before, asked);
            true
        }
        Err(error) => {
            tracing::debug!(node = %asked, %error, "slot map not read");
            false
        }
    }
}

/// Asks one node for the slot map.
pub(super) async fn read_slot_map(
    node: &impl Node,
    address: &NodeAddress,
    limit: Duration,
) -> Result<SlotMap<AnnouncedNode>, BackendError> {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    let failed = |code: Option<String>, message: String| BackendError::Redis {
        operation: OPERATION,
        code,
        message: format!("{address}: {message}"),
    };
    match node.call(&command, limit).await {
        Ok(NodeReply::Answer(answer)) => SlotMap::parse(&answer, address),
        Ok(NodeReply::Error { code, message }) => Err(failed(code, message)),
        Ok(NodeReply::Later(later)) => Err(failed(
            Some(later.code().to_owned()),
            "the node is not ready".to_owned(),
        )),
        Ok(other) => Err(BackendError::unexpected(
            "CLUSTER SLOTS",
            "an answer",
            other,
        )),
        Err(NodeFault::TimedOut) => Err(BackendError::TimedOut {
            backend: "Redis",
            operation: OPERATION,
            after: limit,
        }),
        Err(NodeFault::Disconnected(why) | NodeFault::Unreachable(why)) => Err(failed(None, why)),
    }
}
