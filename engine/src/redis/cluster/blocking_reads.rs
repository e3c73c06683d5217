//! The connection of a reader whose commands may block.
//!
//! Guarantees: a command that blocks delays no call over the shared connections, and no other
//! reader.

use std::sync::{Arc, Mutex, PoisonError};

use super::address::NodeAddress;
use super::node::Nodes;

/// The connection of one reader to the node that it read from last. A reader reads one stream, so
/// it needs no more.
#[derive(Debug)]
pub(super) struct BlockingReads<C> {
    current: Mutex<Option<(NodeAddress, Arc<C>)>>,
}

impl<C> Default for BlockingReads<C> {
    fn default() -> Self {
        Self {
            current: Mutex::default(),
        }
    }
}

impl<C> BlockingReads<C> {
    /// The connection to the node at an address.
    pub(super) fn connection<N>(&self, nodes: &N, address: &NodeAddress) -> Arc<C>
    where
        N: Nodes<Node = C>,
    {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connection)) = current.as_ref().filter(|(of, _)| of == address) {
            return connection.clone();
        }
        let connection = Arc::new(nodes.node(address));
        *current = Some((address.clone(), connection.clone()));
        connection
    }
}
