//! The routes of calls: the slot map with a connection and a breaker for each node.
//!
//! Guarantees: a reader never waits; one change at a time; a node that stays in the cluster keeps
//! its connection and its breaker.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::address::NodeAddress;
use super::breaker::{Away, Breaker};
use super::node::Nodes;
use super::refusals::Refusals;
use super::slot_map::{AnnouncedNode, Slot, SlotMap};
use super::timeouts::KEEP_AWAY;

/// A node that calls are routed to.
#[derive(Debug)]
pub(super) struct RoutedNode<C> {
    /// Where it is.
    pub address: NodeAddress,
    /// Its id in `CLUSTER NODES`; empty until the cluster has named it.
    pub id: OnceLock<String>,
    /// Whether a slot map has had it, and not a redirection alone.
    is_announced: AtomicBool,
    /// The connection that calls share.
    pub connection: C,
    /// Whether it gets calls.
    pub breaker: Breaker,
    /// How long it has refused those that it got.
    pub refusals: Refusals,
}

/// The slot map of the routes.
pub(super) type RouteMap<C> = SlotMap<Arc<RoutedNode<C>>>;

/// The current routes.
#[derive(Debug)]
pub(super) struct Routes<N: Nodes> {
    nodes: N,
    current: ArcSwap<RouteMap<N::Node>>,
    changing: Mutex<()>,
    /// Notified after each change.
    changed: Notify,
}

impl<N: Nodes> Routes<N> {
    /// The first routes of a cluster.
    pub(super) fn new(nodes: N, announced: SlotMap<AnnouncedNode>) -> Self {
        let map = announced.map(|node| Arc::new(announced_node(&nodes, node)));
        Self {
            nodes,
            current: ArcSwap::from_pointee(map),
            changing: Mutex::new(()),
            changed: Notify::new(),
        }
    }

    /// How connections to nodes are made.
    pub(super) fn nodes(&self) -> &N {
        &self.nodes
    }

    /// The node that owns a slot.
    pub(super) fn owner(&self, slot: Slot) -> Option<Arc<RoutedNode<N::Node>>> {
        self.current.load().owner(slot).cloned()
    }

    /// The whole map.
    pub(super) fn map(&self) -> Arc<RouteMap<N::Node>> {
        self.current.load_full()
    }

    /// Whether the node is one of the cluster's.
    pub(super) fn has(&self, node: &Arc<RoutedNode<N::Node>>) -> bool {
        let map = self.current.load();
        let mut all = map.masters().iter().chain(map.replicas());
        all.any(|other| Arc::ptr_eq(other, node))
    }

    /// Whether the node owns the slot.
    pub(super) fn is_owner(&self, slot: Slot, node: &Arc<RoutedNode<N::Node>>) -> bool {
        let map = self.current.load();
        map.owner(slot)
            .is_some_and(|owner| Arc::ptr_eq(owner, node))
    }

    /// Waits until another node owns the slot.
    pub(super) async fn moved_away(&self, slot: Slot, node: &Arc<RoutedNode<N::Node>>) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the check, so that no change falls in between.
            changed.as_mut().enable();
            if !self.is_owner(slot, node) {
                return;
            }
            changed.await;
        }
    }

    /// Replaces the slot map. Returns the one before.
    pub(super) fn install(
        &self,
        announced: SlotMap<AnnouncedNode>,
        now: Timestamp,
    ) -> Arc<RouteMap<N::Node>> {
        self.change(|map| {
            let mut installed = announced.map(|node| {
                let same = find(map, &node.address).filter(|other| has_id_of(other, &node));
                let node = same.unwrap_or_else(|| Arc::new(announced_node(&self.nodes, node)));
                node.is_announced.store(true, Ordering::Relaxed);
                node
            });
            for node in map.masters().iter().filter(|node| is_kept(node, now)) {
                if find(&installed, &node.address).is_none() {
                    installed.add_master(node.clone());
                }
            }
            installed
        })
    }

    /// Gives one slot to the node at an address, and returns the map before.
    pub(super) fn move_slot(&self, slot: Slot, to: &NodeAddress) -> Arc<RouteMap<N::Node>> {
        self.change(|map| {
            let mut map = map.clone();
            let place = place_of_master(&mut map, to, &self.nodes);
            map.set_owner(slot, place);
            map
        })
    }

    /// The node at an address, which joins the masters where the cluster has not named it yet: a
    /// node that imports its first slots is asked before it owns any.
    pub(super) fn find_or_add(&self, address: &NodeAddress) -> Arc<RoutedNode<N::Node>> {
        if let Some(node) = find(&self.current.load(), address) {
            return node;
        }
        self.change(|map| {
            let mut map = map.clone();
            place_of_master(&mut map, address, &self.nodes);
            map
        });
        let added = find(&self.current.load(), address);
        // Another change may have removed it again.
        added.unwrap_or_else(|| Arc::new(new_node(&self.nodes, address.clone())))
    }

    fn change(
        &self,
        change: impl FnOnce(&RouteMap<N::Node>) -> RouteMap<N::Node>,
    ) -> Arc<RouteMap<N::Node>> {
        let one_at_a_time = self.changing.lock();
        let _one_at_a_time = one_at_a_time.unwrap_or_else(PoisonError::into_inner);
        let before = self.current.load_full();
        self.current.store(Arc::new(change(&before)));
        self.changed.notify_waiters();
        before
    }
}

fn announced_node<N: Nodes>(nodes: &N, announced: AnnouncedNode) -> RoutedNode<N::Node> {
    let node = new_node(nodes, announced.address);
    if let Some(id) = announced.id {
        let _ = node.id.set(id);
    }
    node.is_announced.store(true, Ordering::Relaxed);
    node
}

fn new_node<N: Nodes>(nodes: &N, address: NodeAddress) -> RoutedNode<N::Node> {
    RoutedNode {
        connection: nodes.node(&address),
        address,
        id: OnceLock::new(),
        is_announced: AtomicBool::new(false),
        breaker: Breaker::default(),
        refusals: Refusals::default(),
    }
}

/// Whether a node that the slot map lacks stays: one that imports its first slots is in no slot map,
/// and calls that are redirected to it must find its breaker open.
fn is_kept<C>(node: &RoutedNode<C>, now: Timestamp) -> bool {
    let is_recent = |away: Away| now.duration_since(away.since).unsigned_abs() < KEEP_AWAY;
    !node.is_announced.load(Ordering::Relaxed) && node.breaker.away().is_some_and(is_recent)
}

/// Whether a node is the announced one, and not another that has got its address.
fn has_id_of<C>(node: &RoutedNode<C>, announced: &AnnouncedNode) -> bool {
    match &announced.id {
        Some(id) => node.id.get_or_init(|| id.clone()) == id,
        None => true,
    }
}

fn find<C>(map: &RouteMap<C>, address: &NodeAddress) -> Option<Arc<RoutedNode<C>>> {
    let mut all = map.masters().iter().chain(map.replicas());
    all.find(|node| node.address == *address).cloned()
}

/// The place of a node among the masters, which it joins where it is none.
fn place_of_master<N: Nodes>(
    map: &mut RouteMap<N::Node>,
    address: &NodeAddress,
    nodes: &N,
) -> usize {
    let mut masters = map.masters().iter();
    if let Some(place) = masters.position(|node| node.address == *address) {
        return place;
    }
    // A replica that was promoted keeps its connection.
    let node = find(map, address);
    let node = node.unwrap_or_else(|| Arc::new(new_node(nodes, address.clone())));
    map.add_master(node)
}
