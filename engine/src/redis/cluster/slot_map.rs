//! Which node owns which slot.
//!
//! Guarantees: pure values; a slot has one owner or none, and the owner is one of the masters.

use std::fmt;

use crc16::{State, XMODEM};
use redis::Value;

use super::address::NodeAddress;
use crate::domain::error::BackendError;

/// How many slots a Redis Cluster has.
const SLOTS: u16 = 16_384;

/// The place of an owner that a slot does not have.
const NO_OWNER: u16 = u16::MAX;

/// The number of a slot, below 16,384.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(u16);

impl Slot {
    /// A slot by its number; none for a number that no slot has.
    pub fn new(number: u16) -> Option<Self> {
        (number < SLOTS).then_some(Self(number))
    }

    /// The slot of a key: that of its hash tag, where it has one.
    pub fn of_key(key: &str) -> Self {
        Self(State::<XMODEM>::calculate(hashed_part(key).as_bytes()) % SLOTS)
    }

    /// Where the slots are divided into so many parts of one size: the number of the part that this
    /// one is in, from 0.
    pub(crate) fn part_of(self, parts: u16) -> u16 {
        // Below `parts`, because the slot is below SLOTS.
        (u32::from(self.0) * u32::from(parts) / u32::from(SLOTS)) as u16
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is between the first `{` and the next `}`, unless that is nothing; else the whole key.
fn hashed_part(key: &str) -> &str {
    let tag = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .map(|(tag, _)| tag);
    tag.filter(|tag| !tag.is_empty()).unwrap_or(key)
}

/// The nodes of a cluster and the owner of each slot.
#[derive(Debug, Clone)]
pub(super) struct SlotMap<N> {
    masters: Vec<N>,
    replicas: Vec<N>,
    /// By slot: the place of the owner in `masters`.
    owners: Box<[u16]>,
}

/// A node as the answer to `CLUSTER SLOTS` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnnouncedNode {
    /// Where it is reached.
    pub address: NodeAddress,
    /// Its id in `CLUSTER NODES`; none where the server gives none.
    pub id: Option<String>,
}

impl<N> SlotMap<N> {
    fn empty() -> Self {
        Self {
            masters: Vec::new(),
            replicas: Vec::new(),
            owners: vec![NO_OWNER; usize::from(SLOTS)].into_boxed_slice(),
        }
    }

    /// The node that owns a slot.
    pub(super) fn owner(&self, slot: Slot) -> Option<&N> {
        let place = self.owners.get(usize::from(slot.0))?;
        self.masters.get(usize::from(*place))
    }

    /// All masters.
    pub(super) fn masters(&self) -> &[N] {
        &self.masters
    }

    /// All replicas.
    pub(super) fn replicas(&self) -> &[N] {
        &self.replicas
    }

    /// The same slots with other values for the nodes.
    pub(super) fn map<M>(self, mut convert: impl FnMut(N) -> M) -> SlotMap<M> {
        SlotMap {
            masters: self.masters.into_iter().map(&mut convert).collect(),
            replicas: self.replicas.into_iter().map(convert).collect(),
            owners: self.owners,
        }
    }

    /// Adds a master without slots and returns its place.
    pub(super) fn add_master(&mut self, node: N) -> usize {
        self.masters.push(node);
        self.masters.len() - 1
    }

    /// Gives a slot to the master at a place.
    pub(super) fn set_owner(&mut self, slot: Slot, place: usize) {
        if let (Some(owner), Ok(place)) = (
            self.owners.get_mut(usize::from(slot.0)),
            u16::try_from(place),
        ) {
            *owner = place;
        }
    }

    /// How many slots each master owns, in the order of the masters.
    pub(super) fn slot_counts(&self) -> Vec<u16> {
        let mut counts = vec![0; self.masters.len()];
        for owner in &self.owners {
            if let Some(count) = counts.get_mut(usize::from(*owner)) {
                *count += 1;
            }
        }
        counts
    }

    /// How many slots have another owner here than in `other`.
    pub(super) fn count_moved(&self, other: &Self, is_same: impl Fn(&N, &N) -> bool) -> usize {
        let slots = (0..SLOTS).map(Slot);
        let moved = slots.filter(|slot| match (self.owner(*slot), other.owner(*slot)) {
            (Some(here), Some(there)) => !is_same(here, there),
            (None, None) => false,
            _ => true,
        });
        moved.count()
    }

    /// The ranges of slots, both ends included, that the master at a place owns.
    pub(super) fn ranges_of(&self, place: usize) -> Vec<(u16, u16)> {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for (slot, owner) in (0..SLOTS).zip(&self.owners) {
            if usize::from(*owner) != place {
                continue;
            }
            match ranges.last_mut() {
                Some((_, end)) if *end + 1 == slot => *end = slot,
                _ => ranges.push((slot, slot)),
            }
        }
        ranges
    }
}

impl SlotMap<AnnouncedNode> {
    /// Reads the answer of the node at `asked` to `CLUSTER SLOTS`. A slot whose owner the node has
    /// no address of has no owner. An answer without any slot is an error: a node that has just
    /// been started, or was reset, says nothing about the cluster.
    pub(super) fn parse(answer: &Value, asked: &NodeAddress) -> Result<Self, BackendError> {
        let wrong = |found: &Value| {
            BackendError::unexpected(
                "CLUSTER SLOTS",
                "a list of [first slot, last slot, master, replicas...]",
                found,
            )
        };
        let Value::Array(ranges) = answer else {
            return Err(wrong(answer));
        };
        let mut map = Self::empty();
        for range in ranges {
            let Value::Array(fields) = range else {
                return Err(wrong(range));
            };
            let [Value::Int(first), Value::Int(last), nodes @ ..] = fields.as_slice() else {
                return Err(wrong(range));
            };
            let (Some(first), Some(last)) = (slot_number(*first), slot_number(*last)) else {
                return Err(wrong(range));
            };
            let mut nodes = nodes.iter().map(|node| announced_node(node, asked));
            if let Some(Some(master)) = nodes.next() {
                let place = place_of(&mut map.masters, master);
                for slot in first..=last {
                    map.set_owner(Slot(slot), place);
                }
            }
            for replica in nodes.flatten() {
                place_of(&mut map.replicas, replica);
            }
        }
        match map.masters.is_empty() {
            true => Err(BackendError::unexpected(
                "CLUSTER SLOTS",
                "nodes that own slots",
                "none: the cluster is not formed, or the node left it",
            )),
            false => Ok(map),
        }
    }
}

fn slot_number(number: i64) -> Option<u16> {
    u16::try_from(number).ok().filter(|slot| *slot < SLOTS)
}

/// A node of the answer: `[host, port, id, ...]`.
fn announced_node(value: &Value, asked: &NodeAddress) -> Option<AnnouncedNode> {
    let Value::Array(fields) = value else {
        return None;
    };
    let [host, Value::Int(port), rest @ ..] = fields.as_slice() else {
        return None;
    };
    let host = match host {
        Value::Nil => "",
        host => text(host)?,
    };
    let port = u16::try_from(*port).ok()?;
    Some(AnnouncedNode {
        address: NodeAddress::announced_parts(host, port, asked)?,
        id: rest.first().and_then(text).map(str::to_owned),
    })
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// The place of a node in a list, which gets it where it lacks it.
fn place_of(nodes: &mut Vec<AnnouncedNode>, node: AnnouncedNode) -> usize {
    match nodes.iter().position(|other| other.address == node.address) {
        Some(place) => place,
        None => {
            nodes.push(node);
            nodes.len() - 1
        }
    }
}

#[cfg(test)]
mod tests;
