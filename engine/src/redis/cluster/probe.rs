//! Probes of a node that is away.
//!
//! Guarantees: one probe of a node at a time; the first answer closes the breaker; the probes end
//! with the cluster, and where the node leaves it.

use std::sync::Arc;
use std::time::Duration;

use super::breaker::Opening;
use super::node::{Node, Nodes};
use super::state::{Cluster, Target};
use super::timeouts::PROBE_LIMIT;

/// How long after a probe the next one follows.
const PAUSE: Duration = Duration::from_millis(200);

/// Probes a node until it answers.
pub(super) fn spawn<N: Nodes>(cluster: &Arc<Cluster<N>>, node: &Target<N>, opening: Opening) {
    let (cluster, node) = (Arc::downgrade(cluster), node.clone());
    tokio::spawn(async move {
        let ping = redis::cmd("PING");
        loop {
            tokio::time::sleep(PAUSE).await;
            let Some(cluster) = cluster.upgrade() else {
                return;
            };
            if !node.breaker.is_open_since(opening) || !cluster.routes.has(&node) {
                return;
            }
            let result = node.connection.call(&ping, PROBE_LIMIT).await;
            if cluster.noted(&node, result).is_ok() {
                return;
            }
        }
    });
}
