//! The value of a stream: entries by their ids, and consumer groups with what they have read.
//!
//! Guarantees: everything here is a function of values. The commands on streams and on groups are
//! in other files, which use this one and not each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;

use redis::Value;

use crate::redis::reply::{CommandError, bulk};

/// The id of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct StreamId {
    pub ms: u64,
    pub seq: u64,
}

impl StreamId {
    /// Before every entry.
    pub const ZERO: Self = Self { ms: 0, seq: 0 };
    /// The last possible one.
    pub const MAX: Self = Self {
        ms: u64::MAX,
        seq: u64::MAX,
    };

    /// Reads `<ms>-<seq>`, or `<ms>` with this sequence number.
    pub fn parse(text: &[u8], missing_seq: u64) -> Result<Self, CommandError> {
        let read = || {
            let text = std::str::from_utf8(text).ok()?;
            let (ms, seq) = match text.split_once('-') {
                Some((ms, seq)) => (ms, seq.parse().ok()?),
                None => (text, missing_seq),
            };
            Some(Self {
                ms: ms.parse().ok()?,
                seq,
            })
        };
        read().ok_or_else(invalid_id)
    }

    /// The id as a reply.
    pub fn reply(self) -> Value {
        bulk(self.to_string())
    }

    /// The smallest id behind this one.
    pub fn next(self) -> Self {
        match self.seq.checked_add(1) {
            Some(seq) => Self { seq, ..self },
            None => Self {
                ms: self.ms.saturating_add(1),
                seq: 0,
            },
        }
    }

    /// The largest id before this one.
    pub fn previous(self) -> Self {
        match self.seq.checked_sub(1) {
            Some(seq) => Self { seq, ..self },
            None => Self {
                ms: self.ms.saturating_sub(1),
                seq: u64::MAX,
            },
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

fn invalid_id() -> CommandError {
    CommandError::err("Invalid stream ID specified as stream command argument")
}

/// Fields and values of an entry, in turn.
type Fields = Vec<Vec<u8>>;

/// A stream with its consumer groups.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    pub entries: BTreeMap<StreamId, Fields>,
    pub last_id: StreamId,
    /// The highest id that `XDEL` deleted.
    pub max_deleted: StreamId,
    pub entries_added: u64,
    pub groups: BTreeMap<Vec<u8>, Group>,
}

impl Stream {
    /// The first id, or zero where the stream is empty.
    pub fn first_id(&self) -> StreamId {
        self.entries.keys().next().copied().unwrap_or_default()
    }

    /// An entry as a reply: its id and its fields, or nil where it is deleted.
    pub fn entry_reply(&self, id: StreamId) -> Value {
        let fields = match self.entries.get(&id) {
            Some(fields) => Value::Array(fields.iter().map(|field| bulk(field.clone())).collect()),
            None => Value::Nil,
        };
        Value::Array(vec![id.reply(), fields])
    }

    /// The ids behind `after`, at most `limit` of them.
    pub fn ids_after(&self, after: StreamId, limit: usize) -> Vec<StreamId> {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let ids = self.entries.range(behind).map(|(id, _)| *id);
        ids.take(limit).collect()
    }

    /// Whether an entry behind `after` was deleted.
    pub fn has_gap_after(&self, after: StreamId) -> bool {
        !self.entries.is_empty()
            && self.max_deleted != StreamId::ZERO
            && self.first_id() <= self.max_deleted
            && after <= self.max_deleted
    }

    /// How many entries were ever added up to `id`, where that is sure.
    pub fn entries_until(&self, id: StreamId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if (self.entries.is_empty() && id < self.last_id) || id == self.last_id {
            return Some(self.entries_added);
        }
        if id > self.last_id {
            return None;
        }
        let first = self.first_id();
        let no_gap = self.max_deleted == StreamId::ZERO || self.max_deleted < first;
        let before_first = self.entries_added - self.entries.len() as u64;
        match id.cmp(&first) {
            std::cmp::Ordering::Less if no_gap => Some(before_first),
            std::cmp::Ordering::Equal if no_gap => Some(before_first + 1),
            _ => None,
        }
    }

    /// How many entries a group has not read yet, where that is sure.
    pub fn lag(&self, group: &Group) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        let read = match group.entries_read {
            Some(read) if !self.has_gap_after(group.last_delivered) => Some(read),
            _ => self.entries_until(group.last_delivered),
        };
        read.map(|read| self.entries_added.saturating_sub(read))
    }
}

/// A consumer group of a stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub last_delivered: StreamId,
    /// How many entries were delivered since the stream's beginning, where that is sure.
    pub entries_read: Option<u64>,
    pub pending: BTreeMap<StreamId, Pending>,
    pub consumers: BTreeSet<Vec<u8>>,
}

/// A delivery that is not acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub consumer: Vec<u8>,
    pub delivered_ms: i64,
    pub deliveries: u64,
}
