//! The commands on the entries of streams.

use redis::Value;

use crate::redis::arguments::Arguments;
use crate::redis::keyspace::Keyspace;
use crate::redis::reply::{CommandError, Reply, count};
use crate::redis::stream_value::{Stream, StreamId};

impl Stream {
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

/// The id argument of `XADD`.
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
