//! Seam N: one command to one Redis node.
//!
//! The adapter to a real node is [`crate::redis::cluster::connection::NodeConnection`]; a simulator
//! implements [`Nodes`] and [`Node`] as well. Everything that a node replies is a value of
//! [`NodeReply`], and everything that keeps a reply away is a value of [`NodeFault`].

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use redis::{Cmd, Value};

use super::address::NodeAddress;
use super::slot_map::Slot;

/// What came of one command to one node.
pub type NodeResult = Result<NodeReply, NodeFault>;

/// The nodes of a cluster, by address.
pub trait Nodes: Debug + Send + Sync + 'static {
    /// One of the nodes.
    type Node: Node;

    /// The node at an address, over a connection of its own that the first call opens. Does no I/O.
    fn node(&self, address: &NodeAddress) -> Self::Node;
}

/// One Redis node. Calls may overlap.
pub trait Node: Debug + Send + Sync + 'static {
    /// Sends one command. Returns after `limit` at the latest, the time to connect included.
    fn call(&self, command: &Cmd, limit: Duration) -> impl Future<Output = NodeResult> + Send;

    /// Sends `ASKING` and the command, with no other command in between. Returns what the node
    /// replied to the command, after `limit` at the latest.
    fn call_asking(
        &self,
        command: &Cmd,
        limit: Duration,
    ) -> impl Future<Output = NodeResult> + Send;
}

/// What a node replied to a command.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeReply {
    /// The node ran the command.
    Answer(Value),
    /// `MOVED`: another node owns the slot.
    Moved {
        /// The slot.
        slot: Slot,
        /// Its owner; none where the node does not have the address.
        to: Option<NodeAddress>,
    },
    /// `ASK`: the slot is being migrated, and this one command belongs to another node.
    Ask {
        /// The node that imports the slot; none where the node does not have the address.
        to: Option<NodeAddress>,
    },
    /// The node cannot run the command now.
    Later(Later),
    /// Any other error that the server answered with.
    Error {
        /// The first word of the error.
        code: Option<String>,
        /// The whole error.
        message: String,
    },
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeFault {
    /// The connection broke while the command was on its way. The command may have run.
    Disconnected(String),
    /// No connection could be made. The command did not run.
    Unreachable(String),
    /// No reply within the limit. The command may have run, and may run later.
    TimedOut,
}

/// Why a node cannot run a command now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// `TRYAGAIN`: the keys of the command are divided between two nodes while their slot migrates.
    TryAgain,
    /// `CLUSTERDOWN`: no node serves the slot, or the node is cut off from the majority.
    ClusterDown,
    /// `LOADING`: the node reads its data set.
    Loading,
    /// `READONLY`: the node has become a replica.
    ReadOnly,
    /// `MASTERDOWN`: a replica that has lost its master.
    MasterDown,
}

impl Later {
    /// The first word of the server's error.
    pub fn code(self) -> &'static str {
        match self {
            Self::TryAgain => "TRYAGAIN",
            Self::ClusterDown => "CLUSTERDOWN",
            Self::Loading => "LOADING",
            Self::ReadOnly => "READONLY",
            Self::MasterDown => "MASTERDOWN",
        }
    }
}
