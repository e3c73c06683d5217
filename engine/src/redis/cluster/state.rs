//! What the calls and the background tasks of a cluster share.

use std::sync::Arc;

use tokio::sync::Notify;

use super::address::NodeAddress;
use super::node::Nodes;
use super::routes::{RoutedNode, Routes};
use crate::domain::clock::Clock;
use crate::observability::metrics::Metrics;

/// A cluster: its routes, and what callers and background tasks share.
#[derive(Debug)]
pub(super) struct Cluster<N: Nodes> {
    pub routes: Routes<N>,
    /// Where the cluster was found first.
    pub seeds: Vec<NodeAddress>,
    /// Asks for a new slot map.
    pub refresh: Arc<RefreshSignal>,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
}

/// A node of the routes.
pub(super) type Target<N> = Arc<RoutedNode<<N as Nodes>::Node>>;

/// Asks for a refresh before it is due.
#[derive(Debug, Default)]
pub(super) struct RefreshSignal {
    requested: Notify,
}

impl RefreshSignal {
    /// Asks for a refresh. Requests during a refresh share the next one.
    pub(super) fn request(&self) {
        self.requested.notify_one();
    }

    /// Waits for a request.
    pub(super) async fn requested(&self) {
        self.requested.notified().await;
    }
}
