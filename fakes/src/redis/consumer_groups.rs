//! The commands on consumer groups of streams: which consumer has read which entries and has not
//! acknowledged them yet.

use std::collections::BTreeMap;

use redis::Value;

use crate::redis::arguments::Arguments;
use crate::redis::keyspace::Keyspace;
use crate::redis::reply::{CommandError, Reply, bulk, count};
use crate::redis::stream_value::{Group, Pending, Stream, StreamId};

/// The error of a group that is not there.
fn no_group(key: &[u8], group: &[u8], suffix: &str) -> CommandError {
    let (key, group) = (String::from_utf8_lossy(key), String::from_utf8_lossy(group));
    CommandError::new(
        "NOGROUP",
        format!("No such key '{key}' or consumer group '{group}'{suffix}"),
    )
}

/// Fails where `XREADGROUP` could not read.
pub(crate) fn check_for_read(
    keyspace: &Keyspace,
    key: &[u8],
    group: &[u8],
) -> Result<(), CommandError> {
    let stream = keyspace.read::<Stream>(key)?;
    if stream.is_some_and(|stream| stream.groups.contains_key(group)) {
        Ok(())
    } else {
        Err(no_group(key, group, " in XREADGROUP with GROUP option"))
    }
}

/// A consumer that reads.
pub(crate) struct Reader<'a> {
    pub group: &'a [u8],
    pub consumer: &'a [u8],
    pub limit: usize,
    pub no_ack: bool,
}

impl Reader<'_> {
    /// Entries that no consumer of the group has; none where there are none.
    pub fn read_new(
        &self,
        keyspace: &mut Keyspace,
        key: &[u8],
    ) -> Result<Option<Vec<Value>>, CommandError> {
        let now_ms = keyspace.now_ms();
        let stream = keyspace.write::<Stream>(key)?;
        let Some(mut group) = stream.groups.remove(self.group) else {
            return Err(no_group(key, self.group, ""));
        };
        let ids = stream.ids_after(group.last_delivered, self.limit);
        for id in &ids {
            group.entries_read = match group.entries_read {
                Some(read) if !stream.has_gap_after(*id) => Some(read + 1),
                _ => stream.entries_until(*id),
            };
            group.last_delivered = *id;
            if !self.no_ack {
                let delivery = Pending {
                    consumer: self.consumer.to_vec(),
                    delivered_ms: now_ms,
                    deliveries: 1,
                };
                group.pending.insert(*id, delivery);
            }
        }
        if !ids.is_empty() {
            group.consumers.insert(self.consumer.to_vec());
        }
        let entries: Vec<Value> = ids.iter().map(|id| stream.entry_reply(*id)).collect();
        stream.groups.insert(self.group.to_vec(), group);
        Ok((!entries.is_empty()).then_some(entries))
    }

    /// Entries behind `after` that this consumer has and has not acknowledged.
    pub fn read_pending(
        &self,
        keyspace: &mut Keyspace,
        key: &[u8],
        after: StreamId,
    ) -> Result<Vec<Value>, CommandError> {
        let now_ms = keyspace.now_ms();
        let stream = keyspace.write::<Stream>(key)?;
        let Some(group) = stream.groups.get_mut(self.group) else {
            return Err(no_group(key, self.group, ""));
        };
        group.consumers.insert(self.consumer.to_vec());
        let mine = group
            .pending
            .iter_mut()
            .filter(|(id, delivery)| **id > after && delivery.consumer == self.consumer);
        let mut ids = Vec::new();
        for (id, delivery) in mine.take(self.limit) {
            ids.push(*id);
            if stream.entries.contains_key(id) {
                delivery.delivered_ms = now_ms;
                delivery.deliveries += 1;
            }
        }
        Ok(ids.iter().map(|id| stream.entry_reply(*id)).collect())
    }
}

/// `XACK`.
pub(crate) fn xack(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let (key, group) = (arguments.next()?, arguments.next()?);
    let ids = arguments.rest().iter().map(|id| StreamId::parse(id, 0));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let stream = keyspace.existing::<Stream>(key)?;
    let Some(group) = stream.and_then(|stream| stream.groups.get_mut(group)) else {
        return Ok(count(0));
    };
    let acknowledged = ids.iter().filter(|id| group.pending.remove(id).is_some());
    Ok(count(acknowledged.count()))
}

/// `XPENDING` without a range: the count, the first and the last id, and the count of each
/// consumer.
pub(crate) fn xpending(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let (key, name) = (arguments.next()?, arguments.next()?);
    if !arguments.is_empty() {
        return Err(CommandError::err(
            "the fake has XPENDING without a range alone",
        ));
    }
    let stream = keyspace.read::<Stream>(key)?;
    let group = stream
        .and_then(|stream| stream.groups.get(name))
        .ok_or_else(|| no_group(key, name, ""))?;
    let edge = |id: Option<&StreamId>| id.map_or(Value::Nil, |id| id.reply());
    let mut by_consumer: BTreeMap<&[u8], u64> = BTreeMap::new();
    for delivery in group.pending.values() {
        *by_consumer.entry(&delivery.consumer).or_default() += 1;
    }
    let consumers = by_consumer
        .into_iter()
        .map(|(consumer, n)| Value::Array(vec![bulk(consumer), bulk(n.to_string())]));
    let consumers: Vec<Value> = consumers.collect();
    Ok(Value::Array(vec![
        count(group.pending.len()),
        edge(group.pending.keys().next()),
        edge(group.pending.keys().next_back()),
        if consumers.is_empty() {
            Value::Nil
        } else {
            Value::Array(consumers)
        },
    ]))
}

/// `XAUTOCLAIM`: takes over what other consumers left for so long. Answers where to go on, the
/// entries, and the ids that are deleted from the stream.
pub(crate) fn xautoclaim(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let (key, name, consumer) = (arguments.next()?, arguments.next()?, arguments.next()?);
    let min_idle_ms = arguments.next_integer()?.max(0);
    let start = StreamId::parse(arguments.next()?, 0)?;
    let mut limit = 100;
    if arguments.keyword("COUNT") {
        limit = usize::try_from(arguments.next_integer()?)
            .ok()
            .filter(|limit| *limit > 0)
            .ok_or_else(|| CommandError::err("COUNT must be > 0"))?;
    }
    arguments.end()?;
    let now_ms = keyspace.now_ms();
    let missing = || no_group(key, name, "");
    let stream = keyspace.existing::<Stream>(key)?.ok_or_else(missing)?;
    let entries = &stream.entries;
    let group = stream.groups.get_mut(name).ok_or_else(missing)?;
    // Redis checks at most ten times as many deliveries as it may return.
    let most_checked = limit.saturating_mul(10);
    let (mut claimed, mut deleted) = (Vec::new(), Vec::new());
    let mut next = StreamId::ZERO;
    let ids: Vec<StreamId> = group.pending.range(start..).map(|(id, _)| *id).collect();
    for (checked, id) in ids.into_iter().enumerate() {
        if checked == most_checked || claimed.len() + deleted.len() == limit {
            next = id;
            break;
        }
        if !entries.contains_key(&id) {
            group.pending.remove(&id);
            deleted.push(id);
            continue;
        }
        let Some(delivery) = group.pending.get_mut(&id) else {
            continue;
        };
        if now_ms - delivery.delivered_ms < min_idle_ms {
            continue;
        }
        delivery.consumer.clone_from(consumer);
        delivery.delivered_ms = now_ms;
        delivery.deliveries += 1;
        group.consumers.insert(consumer.clone());
        claimed.push(id);
    }
    let entries = claimed.iter().map(|id| stream.entry_reply(*id));
    Ok(Value::Array(vec![
        next.reply(),
        Value::Array(entries.collect()),
        Value::Array(deleted.iter().map(|id| id.reply()).collect()),
    ]))
}

/// The error of `XGROUP` on a key that is not there.
fn no_stream() -> CommandError {
    CommandError::err(
        "The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use \
         the MKSTREAM option to create an empty stream automatically.",
    )
}

/// `XGROUP CREATE` and `XGROUP DESTROY`.
pub(crate) fn xgroup(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    if arguments.keyword("DESTROY") {
        let (key, name) = (arguments.next()?, arguments.next()?);
        let stream = keyspace.existing::<Stream>(key)?.ok_or_else(no_stream)?;
        let destroyed = stream.groups.remove(name);
        return Ok(count(usize::from(destroyed.is_some())));
    }
    if !arguments.keyword("CREATE") {
        return Err(CommandError::err(
            "the fake has XGROUP CREATE and DESTROY alone",
        ));
    }
    let (key, name, id) = (arguments.next()?, arguments.next()?, arguments.next()?);
    let make_stream = arguments.keyword("MKSTREAM");
    arguments.end()?;
    let last_id = match keyspace.read::<Stream>(key)? {
        None if !make_stream => return Err(no_stream()),
        None => StreamId::ZERO,
        Some(stream) => stream.last_id,
    };
    let last_delivered = match id.as_slice() {
        b"$" => last_id,
        id => StreamId::parse(id, 0)?,
    };
    let stream = keyspace.write::<Stream>(key)?;
    if stream.groups.contains_key(name) {
        let message = "Consumer Group name already exists";
        return Err(CommandError::new("BUSYGROUP", message));
    }
    let group = Group {
        last_delivered,
        ..Group::default()
    };
    stream.groups.insert(name.clone(), group);
    Ok(Value::Okay)
}

/// `XINFO GROUPS`.
pub(crate) fn xinfo(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    if !arguments.keyword("GROUPS") {
        return Err(CommandError::err("the fake has XINFO GROUPS alone"));
    }
    let stream = keyspace
        .read::<Stream>(arguments.next()?)?
        .ok_or_else(|| CommandError::err("no such key"))?;
    let number = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    let number_or_nil = |n: Option<u64>| n.map_or(Value::Nil, number);
    let groups = stream.groups.iter().map(|(name, group)| {
        Value::Array(vec![
            bulk("name"),
            bulk(name.clone()),
            bulk("consumers"),
            count(group.consumers.len()),
            bulk("pending"),
            count(group.pending.len()),
            bulk("last-delivered-id"),
            group.last_delivered.reply(),
            bulk("entries-read"),
            number_or_nil(group.entries_read),
            bulk("lag"),
            number_or_nil(stream.lag(group)),
        ])
    });
    Ok(Value::Array(groups.collect()))
}
