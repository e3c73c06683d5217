//! The state of every node: in metrics, in the log and as values.
//!
//! Guarantees: a log line at each change of a state, and none in between; a node that left the
//! cluster has no metric.

use std::sync::Arc;

use super::address::NodeAddress;
use super::breaker::Away;
use super::node::Nodes;
use super::routes::RouteMap;
use super::state::{Cluster, Target};
use crate::observability::redis_nodes::RedisNodeSeries;
use crate::redis::commands::{NodeAbsence, NodeState};

/// The state of every master that owns slots, and of every replica.
pub(super) fn states<N: Nodes>(cluster: &Cluster<N>) -> Vec<NodeState> {
    let map = cluster.routes.map();
    let state = |node: &Target<N>, slots| NodeState {
        address: node.address.to_string(),
        id: node.id.get().cloned(),
        slots,
        away: node.breaker.away().map(|away| NodeAbsence {
            since: away.since,
            why: away.why.to_string(),
        }),
    };
    let masters = map.masters().iter().enumerate();
    let masters = masters.map(|(place, node)| state(node, map.ranges_of(place)));
    let replicas = map.replicas().iter();
    masters
        .filter(|state| !state.slots.is_empty())
        .chain(replicas.map(|node| state(node, Vec::new())))
        .collect()
}

/// Sets the gauges of all nodes.
pub(super) fn publish<N: Nodes>(cluster: &Cluster<N>) {
    let (map, metrics) = (cluster.routes.map(), &cluster.metrics.redis_nodes);
    let set = |node: &Target<N>, slots: &[(u16, u16)], slot_count| {
        metrics.set(&RedisNodeSeries {
            address: &node.address.to_string(),
            id: node.id.get().map(String::as_str).unwrap_or_default(),
            slots: NodeState::show_slots(slots),
            slot_count,
            away_since: node.breaker.away().map(|away| away.since),
        });
    };
    for replica in map.replicas() {
        set(replica, &[], 0);
    }
    // After the replicas: one that was promoted is in both lists until the next refresh.
    let masters = map.masters().iter().zip(map.slot_counts());
    for (place, (master, slot_count)) in masters.enumerate() {
        set(master, &map.ranges_of(place), slot_count);
    }
}

/// Removes the gauges of all nodes.
pub(super) fn withdraw<N: Nodes>(cluster: &Cluster<N>) {
    for address in addresses(&cluster.routes.map()) {
        cluster.metrics.redis_nodes.remove(&address.to_string());
    }
}

/// A new slot map was read from the node at `asked`.
pub(super) fn slot_map_read<N: Nodes>(
    cluster: &Cluster<N>,
    before: &RouteMap<N::Node>,
    asked: &NodeAddress,
) {
    let map = cluster.routes.map();
    let moved = map.count_moved(before, Arc::ptr_eq);
    if moved > 0 {
        let masters: Vec<String> = masters_with_slots::<N>(&map);
        tracing::info!(moved, %asked, ?masters, "Redis slot map changed");
    }
    let current = addresses(&map);
    for address in addresses(before) {
        if !current.contains(&address) {
            cluster.metrics.redis_nodes.remove(&address.to_string());
        }
    }
    publish(cluster);
}

/// A node is away.
pub(super) fn node_is_away<N: Nodes>(cluster: &Cluster<N>, node: &Target<N>) {
    let map = cluster.routes.map();
    let slots = slots_of::<N>(&map, node);
    if let Some(Away { since, why }) = node.breaker.away() {
        tracing::warn!(node = %node.address, slots, %since, %why, "Redis node away");
    }
    cluster.metrics.redis_nodes.went_away.inc();
    publish(cluster);
}

/// A node is back.
pub(super) fn node_is_back<N: Nodes>(cluster: &Cluster<N>, node: &Target<N>, ended: &Away) {
    let away_ms = cluster.clock.now().duration_since(ended.since).as_millis();
    let (slots, since) = (slots_of::<N>(&cluster.routes.map(), node), ended.since);
    tracing::info!(node = %node.address, slots, %since, away_ms, "Redis node back");
    publish(cluster);
}

fn addresses<C>(map: &RouteMap<C>) -> Vec<NodeAddress> {
    let all = map.masters().iter().chain(map.replicas());
    all.map(|node| node.address.clone()).collect()
}

fn masters_with_slots<N: Nodes>(map: &RouteMap<N::Node>) -> Vec<String> {
    let masters = map.masters().iter().zip(map.slot_counts());
    let with_slots = masters.filter(|(_, slots)| *slots > 0);
    with_slots
        .map(|(node, _)| node.address.to_string())
        .collect()
}

/// The slots of a node, `0-5460,7000`; empty for a replica.
fn slots_of<N: Nodes>(map: &RouteMap<N::Node>, node: &Target<N>) -> String {
    let mut masters = map.masters().iter();
    let place = masters.position(|master| Arc::ptr_eq(master, node));
    let ranges = place.map(|place| map.ranges_of(place)).unwrap_or_default();
    NodeState::show_slots(&ranges)
}
