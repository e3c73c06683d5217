//! `XREAD` and `XREADGROUP`: reads behind an id, or as a consumer of a group, that may wait.
//!
//! A read that waits (`BLOCK`) is run again by [`super::FakeRedis`] whenever a stream changed;
//! here it returns nil at once, as it does inside a script.

use std::time::Duration;

use redis::Value;

use crate::redis::arguments::Arguments;
use crate::redis::consumer_groups;
use crate::redis::keyspace::Keyspace;
use crate::redis::reply::{CommandError, Reply, bulk};
use crate::redis::stream_value::{Stream, StreamId};

/// The options of a read, and what it reads.
struct Read<'a> {
    limit: usize,
    no_ack: bool,
    group: Option<(&'a [u8], &'a [u8])>,
    /// Keys, each with the id to read behind.
    streams: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Read<'a> {
    fn parse(command: &str, arguments: &mut Arguments<'a>) -> Result<Self, CommandError> {
        let mut read = Self {
            limit: usize::MAX,
            no_ack: false,
            group: None,
            streams: Vec::new(),
        };
        while !arguments.keyword("STREAMS") {
            if arguments.keyword("COUNT") {
                let limit = usize::try_from(arguments.next_integer()?).unwrap_or(0);
                read.limit = if limit == 0 { usize::MAX } else { limit };
            } else if arguments.keyword("BLOCK") {
                arguments.next_integer()?;
            } else if arguments.keyword("GROUP") {
                read.group = Some((arguments.next()?, arguments.next()?));
            } else if arguments.keyword("NOACK") {
                read.no_ack = true;
            } else {
                return Err(CommandError::syntax());
            }
        }
        let rest = arguments.rest();
        if rest.is_empty() || !rest.len().is_multiple_of(2) {
            return Err(CommandError::err(format!(
                "Unbalanced '{command}' list of streams: for each stream key an ID or '$' must be \
                 specified."
            )));
        }
        let (keys, ids) = rest.split_at(rest.len() / 2);
        let pairs = keys.iter().zip(ids);
        read.streams = pairs.map(|(key, id)| (&key[..], &id[..])).collect();
        Ok(read)
    }
}

/// `XREAD`.
pub(crate) fn xread(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let read = Read::parse("xread", arguments)?;
    let mut found = Vec::new();
    for (key, id) in read.streams {
        let stream = keyspace.read::<Stream>(key)?;
        let after = match (id, stream) {
            (b"$", _) => continue,
            (id, _) => StreamId::parse(id, 0)?,
        };
        let Some(stream) = stream else { continue };
        let ids = stream.ids_after(after, read.limit);
        if !ids.is_empty() {
            let entries = ids.iter().map(|id| stream.entry_reply(*id));
            found.push(stream_reply(key, entries.collect()));
        }
    }
    Ok(array_or_nil(found))
}

/// `XREADGROUP`.
pub(crate) fn xreadgroup(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let read = Read::parse("xreadgroup", arguments)?;
    let (group, consumer) = read
        .group
        .ok_or_else(|| CommandError::err("Missing GROUP option for XREADGROUP"))?;
    for (key, _) in &read.streams {
        consumer_groups::check_for_read(keyspace, key, group)?;
    }
    let mut found = Vec::new();
    for (key, id) in read.streams {
        let reader = consumer_groups::Reader {
            group,
            consumer,
            limit: read.limit,
            no_ack: read.no_ack,
        };
        let entries = match id {
            b">" => reader.read_new(keyspace, key)?,
            id => Some(reader.read_pending(keyspace, key, StreamId::parse(id, 0)?)?),
        };
        found.extend(entries.map(|entries| stream_reply(key, entries)));
    }
    Ok(array_or_nil(found))
}

fn stream_reply(key: &[u8], entries: Vec<Value>) -> Value {
    Value::Array(vec![bulk(key), Value::Array(entries)])
}

fn array_or_nil(found: Vec<Value>) -> Value {
    if found.is_empty() {
        Value::Nil
    } else {
        Value::Array(found)
    }
}

/// How long a read waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until there is something to read.
    Forever,
    /// At most so long.
    AtMost(Duration),
}

/// How long a whole command (its name included) waits, if it does. Writes the present last id of
/// each stream in the place of `$`, because that is where a read that is run again goes on.
pub(crate) fn begin_wait(keyspace: &Keyspace, command: &mut [Vec<u8>]) -> Option<Wait> {
    let name = command.first()?;
    if !(name.eq_ignore_ascii_case(b"XREAD") || name.eq_ignore_ascii_case(b"XREADGROUP")) {
        return None;
    }
    let position = |word: &str| {
        let is_word = |argument: &Vec<u8>| argument.eq_ignore_ascii_case(word.as_bytes());
        command.iter().position(is_word)
    };
    let streams = position("STREAMS")? + 1;
    let block = position("BLOCK").filter(|block| *block < streams)?;
    let wait_ms: u64 = std::str::from_utf8(command.get(block + 1)?)
        .ok()?
        .parse()
        .ok()?;
    let keys = (command.len() - streams) / 2;
    for i in streams..streams + keys {
        if command[i + keys] == b"$" {
            let stream = keyspace.read::<Stream>(&command[i]).ok().flatten();
            let last = stream.map_or(StreamId::ZERO, |stream| stream.last_id);
            command[i + keys] = last.to_string().into_bytes();
        }
    }
    Some(match wait_ms {
        0 => Wait::Forever,
        wait_ms => Wait::AtMost(Duration::from_millis(wait_ms)),
    })
}
