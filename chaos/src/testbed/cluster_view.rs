//! What a Redis node says about the cluster (`CLUSTER NODES`), as values. Pure.

/// A node of the cluster, as another one sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ViewedNode {
    /// Its number, by its announced port.
    pub(super) index: usize,
    pub(super) id: String,
    pub(super) is_master: bool,
    pub(super) has_failed: bool,
    /// The id of its master, where it is a replica.
    pub(super) master: Option<String>,
    /// Its slots, as ranges with both ends.
    pub(super) slots: Vec<(u16, u16)>,
}

impl ViewedNode {
    pub(super) fn has_slot(&self, slot: u16) -> bool {
        let holds = |(first, last): &(u16, u16)| (*first..=*last).contains(&slot);
        self.is_master && self.slots.iter().any(holds)
    }
}

/// Reads the answer of `CLUSTER NODES`; `ports` are the announced ports of the nodes in order. Lines
/// that cannot be read are left out.
pub(super) fn parse(text: &str, ports: &[u16]) -> Vec<ViewedNode> {
    text.lines().filter_map(|line| node(line, ports)).collect()
}

fn node(line: &str, ports: &[u16]) -> Option<ViewedNode> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [id, address, flags, master, ..] = fields[..] else {
        return None;
    };
    let (_, port) = address.split('@').next()?.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let flags: Vec<&str> = flags.split(',').collect();
    // A slot that is moving is listed in brackets beside the ranges, which hold it too.
    let ranges = fields
        .iter()
        .skip(8)
        .filter(|field| !field.starts_with('['));
    Some(ViewedNode {
        index: ports.iter().position(|other| *other == port)?,
        id: id.to_owned(),
        is_master: flags.contains(&"master"),
        has_failed: flags.contains(&"fail"),
        master: (master != "-").then(|| master.to_owned()),
        slots: ranges.filter_map(|range| slots(range)).collect(),
    })
}

fn slots(range: &str) -> Option<(u16, u16)> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// The node that has a slot, by this view.
pub(super) fn owner(nodes: &[ViewedNode], slot: u16) -> Option<&ViewedNode> {
    // A master that was replaced may still be listed, without slots.
    nodes.iter().find(|node| node.has_slot(slot))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: &str = "\
aa 127.0.0.1:7000@8000 myself,master - 0 0 1 connected 0-5460 [93-<-bb]
bb 127.0.0.1:7001@8001,host master,fail - 0 0 2 connected 5461-10922 16383
cc 127.0.0.1:7002@8002 slave aa 0 0 1 connected
dd :0@0 handshake - 0 0 0 disconnected
";

    #[test]
    fn masters_have_slots_and_replicas_have_masters() {
        let nodes = parse(NODES, &[7_002, 7_000, 7_001]);
        assert_eq!(nodes.len(), 3);
        let found: Vec<_> = nodes.iter().map(|node| (node.index, &*node.id)).collect();
        assert_eq!(found, [(1, "aa"), (2, "bb"), (0, "cc")]);
        assert!(nodes[1].has_failed && !nodes[0].has_failed);
        assert_eq!(nodes[2].master.as_deref(), Some("aa"));
        let of = |slot| owner(&nodes, slot).map(|node| node.index);
        assert_eq!(of(5_460), Some(1));
        assert_eq!(of(5_461), Some(2));
        assert_eq!(of(16_383), Some(2));
        assert_eq!(of(12_000), None);
    }
}
