//! Streams and the commands on their entries.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use redis::Value;

use crate::redis::arguments::Arguments;
use crate::redis::consumer_groups::Group;
use crate::redis::keyspace::Keyspace;
use crate::redis::reply::{CommandError, Reply, bulk, count};

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

    fn next(self) -> Self {
        match self.seq.checked_add(1) {
            Some(seq) => Self { seq, ..self },
            None => Self {
                ms: self.ms.saturating_add(1),
                seq: 0,
            },
        }
    }

    fn previous(self) -> Self {
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
#[derive(Debug, Default)]
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

    fn trim(&mut self, trim: &Trim) -> usize {
        let before = self.entries.len();
        match trim {
            Trim::MaxLen(length) => {
                while self.entries.len() > *length {
                    self.entries.pop_first();
                }
            }
            Trim::MinId(id) => self.entries = self.entries.split_off(id),
        }
        before - self.entries.len()
    }
}

/// Which entries stay.
enum Trim {
    MaxLen(usize),
    MinId(StreamId),
}

impl Trim {
    /// Reads `MAXLEN [=] n` or `MINID [=] id` where it comes next.
    fn parse(arguments: &mut Arguments<'_>) -> Result<Option<Self>, CommandError> {
        let by_length = arguments.keyword("MAXLEN");
        if !by_length && !arguments.keyword("MINID") {
            return Ok(None);
        }
        if arguments.keyword("~") {
            return Err(CommandError::err(
                "the fake trims streams exactly, without ~",
            ));
        }
        let _ = arguments.keyword("=");
        if !by_length {
            return StreamId::parse(arguments.next()?, 0).map(|id| Some(Self::MinId(id)));
        }
        let length = usize::try_from(arguments.next_integer()?)
            .map_err(|_| CommandError::err("The MAXLEN argument must be >= 0."))?;
        Ok(Some(Self::MaxLen(length)))
    }
}

/// The id that `XADD` asks for.
enum NewId {
    /// `*`.
    Auto,
    /// `<ms>-*`.
    AutoSeq(u64),
    Exact(StreamId),
}

impl NewId {
    fn parse(text: &[u8]) -> Result<Self, CommandError> {
        if text == b"*" {
            return Ok(Self::Auto);
        }
        match text.strip_suffix(b"-*") {
            Some(ms) => Ok(Self::AutoSeq(StreamId::parse(ms, 0)?.ms)),
            None => StreamId::parse(text, 0).map(Self::Exact),
        }
    }

    fn resolve(&self, last: StreamId, now_ms: u64) -> Result<StreamId, CommandError> {
        let id = match *self {
            Self::Auto if now_ms > last.ms => StreamId { ms: now_ms, seq: 0 },
            Self::Auto => last.next(),
            Self::AutoSeq(ms) if ms == last.ms => last.next(),
            Self::AutoSeq(ms) => StreamId { ms, seq: 0 },
            Self::Exact(StreamId::ZERO) => {
                let message = "The ID specified in XADD must be greater than 0-0";
                return Err(CommandError::err(message));
            }
            Self::Exact(id) => id,
        };
        if id <= last {
            return Err(CommandError::err(
                "The ID specified in XADD is equal or smaller than the target stream top item",
            ));
        }
        Ok(id)
    }
}

/// `XADD`.
pub(crate) fn xadd(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let key = arguments.next()?;
    let existing_only = arguments.keyword("NOMKSTREAM");
    let trim = Trim::parse(arguments)?;
    let new_id = NewId::parse(arguments.next()?)?;
    let fields = arguments.rest();
    if fields.is_empty() || !fields.len().is_multiple_of(2) {
        return Err(CommandError::err(
            "wrong number of arguments for 'xadd' command",
        ));
    }
    let last = match keyspace.read::<Stream>(key)? {
        None if existing_only => return Ok(Value::Nil),
        None => StreamId::ZERO,
        Some(stream) => stream.last_id,
    };
    let now_ms = u64::try_from(keyspace.now_ms()).unwrap_or_default();
    let id = new_id.resolve(last, now_ms)?;
    let stream = keyspace.write::<Stream>(key)?;
    stream.entries.insert(id, fields.to_vec());
    stream.last_id = id;
    stream.entries_added += 1;
    if let Some(trim) = trim {
        stream.trim(&trim);
    }
    keyspace.stream_changed();
    Ok(id.reply())
}

/// `XDEL`.
pub(crate) fn xdel(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let key = arguments.next()?;
    let ids = arguments.rest().iter().map(|id| StreamId::parse(id, 0));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let Some(stream) = keyspace.existing::<Stream>(key)? else {
        return Ok(count(0));
    };
    let mut deleted = 0;
    for id in ids {
        if stream.entries.remove(&id).is_some() {
            deleted += 1;
            stream.max_deleted = stream.max_deleted.max(id);
        }
    }
    Ok(count(deleted))
}

/// `XLEN`.
pub(crate) fn xlen(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let stream = keyspace.read::<Stream>(arguments.next()?)?;
    Ok(count(stream.map_or(0, |stream| stream.entries.len())))
}

/// `XTRIM`.
pub(crate) fn xtrim(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let key = arguments.next()?;
    let trim = Trim::parse(arguments)?.ok_or_else(CommandError::syntax)?;
    arguments.end()?;
    let stream = keyspace.existing::<Stream>(key)?;
    Ok(count(stream.map_or(0, |stream| stream.trim(&trim))))
}

/// `XRANGE`.
pub(crate) fn xrange(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let key = arguments.next()?;
    let start = range_start(arguments.next()?)?;
    let end = range_end(arguments.next()?)?;
    let limit = if arguments.keyword("COUNT") {
        usize::try_from(arguments.next_integer()?).unwrap_or(0)
    } else {
        usize::MAX
    };
    arguments.end()?;
    let Some(stream) = keyspace.read::<Stream>(key)? else {
        return Ok(Value::Array(Vec::new()));
    };
    if limit == 0 {
        return Ok(Value::Nil);
    }
    // Asking a map for a range whose end lies before its start would panic.
    if start > end {
        return Ok(Value::Array(Vec::new()));
    }
    let inside = stream.entries.range(start..=end).take(limit);
    Ok(Value::Array(
        inside.map(|(id, _)| stream.entry_reply(*id)).collect(),
    ))
}

/// The first id of a range: `-`, an id, or `(` and the id before.
fn range_start(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        b"-" => Ok(StreamId::ZERO),
        b"+" => Ok(StreamId::MAX),
        [b'(', id @ ..] => StreamId::parse(id, 0).map(StreamId::next),
        id => StreamId::parse(id, 0),
    }
}

/// The last id of a range: `+`, an id, or `(` and the id behind.
fn range_end(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        b"-" => Ok(StreamId::ZERO),
        b"+" => Ok(StreamId::MAX),
        [b'(', id @ ..] => StreamId::parse(id, u64::MAX).map(StreamId::previous),
        id => StreamId::parse(id, u64::MAX),
    }
}
