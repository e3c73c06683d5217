//! How nodes become a cluster, and how a node sees whether they are one.

use std::collections::HashMap;

use super::{FORM_LIMIT, SLOTS};
use crate::{ServersError, redis_node::Node, wait::poll};

/// What `redis-cli --cluster create` does, without its waits of whole seconds.
pub(super) fn form(nodes: &[Node], masters: usize) -> Result<(), ServersError> {
    let mut first = 0;
    for (index, node) in nodes[..masters].iter().enumerate() {
        let end = SLOTS * (index + 1) / masters;
        let (from, to) = (first.to_string(), (end - 1).to_string());
        node.ask(&["CLUSTER", "ADDSLOTSRANGE", &from, &to])?;
        // Distinct from the start, else the nodes sort it out by collisions.
        let epoch = (index + 1).to_string();
        node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch])?;
        first = end;
    }
    // Everyone meets everyone: gossip alone takes seconds to make all acquainted.
    for (index, node) in nodes.iter().enumerate() {
        for other in &nodes[index + 1..] {
            let (port, bus) = (
                other.cluster_port().to_string(),
                other.bus_port().to_string(),
            );
            node.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
        }
    }
    for (index, replica) in nodes[masters..].iter().enumerate() {
        let master = nodes[index % masters].ask(&["CLUSTER", "MYID"])?;
        let mut found = None;
        let done = poll(FORM_LIMIT, || {
            // Refused until the handshake with that master is over.
            match replica.ask(&["CLUSTER", "REPLICATE", &master]) {
                Ok(_) => Ok(Some(())),
                Err(error) => {
                    found = Some(error);
                    Ok::<_, ServersError>(None)
                }
            }
        })?;
        if let (None, Some(error)) = (done, found) {
            return Err(error);
        }
    }
    Ok(())
}

/// Whether a node sees the whole cluster ok: `None`, or what is not so yet.
pub(super) fn settled(node: &Node, count: usize) -> Result<Option<String>, ServersError> {
    let info = fields(&node.ask(&["CLUSTER", "INFO"])?);
    for (field, expected) in [
        ("cluster_state", "ok".to_owned()),
        ("cluster_slots_ok", SLOTS.to_string()),
        ("cluster_known_nodes", count.to_string()),
    ] {
        let found = info.get(field).map_or("nothing", String::as_str);
        if found != expected {
            return Ok(Some(format!("{field} is {found}, not {expected}")));
        }
    }
    let nodes = node.ask(&["CLUSTER", "NODES"])?;
    for line in nodes.lines() {
        let flags = line.split(' ').nth(2).unwrap_or_default();
        if flags
            .split(',')
            .any(|flag| matches!(flag, "handshake" | "fail" | "fail?" | "noaddr"))
        {
            return Ok(Some(format!("it sees a node as {flags}")));
        }
        // A master that owns nothing is a replica that this node does not know as such yet.
        if flags.ends_with("master") && line.split(' ').nth(8).is_none() {
            return Ok(Some("it sees a master without slots".into()));
        }
    }
    let replication = fields(&node.ask(&["INFO", "replication"])?);
    match replication.get("master_link_status").map(String::as_str) {
        None | Some("up") => Ok(None),
        Some(status) => Ok(Some(format!("its link to its master is {status}"))),
    }
}

pub(super) fn fields(info: &str) -> HashMap<String, String> {
    info.lines()
        .filter_map(|line| line.trim().split_once(':'))
        .map(|(field, value)| (field.to_owned(), value.to_owned()))
        .collect()
}
