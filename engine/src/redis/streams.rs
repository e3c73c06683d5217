//! Streams and their consumer group.
//!
//! Guarantees: a stream that does not exist is empty, and reading it does not create it.

use std::time::Duration;

use redis::streams::{StreamAutoClaimReply, StreamId, StreamInfoGroupsReply, StreamReadReply};
use redis::{FromRedisValue, Value};

/// One entry of a stream.
#[derive(Debug, Clone)]
pub(crate) struct StreamEntry {
    /// Its id.
    pub id: String,
    fields: StreamId,
}

impl StreamEntry {
    /// A field, if the entry has it and it is of this type.
    pub(crate) fn get<T: FromRedisValue>(&self, field: &str) -> Option<T> {
        self.fields.get(field)
    }
}

impl From<StreamId> for StreamEntry {
    fn from(fields: StreamId) -> Self {
        Self {
            id: fields.id.clone(),
            fields,
        }
    }
}

use crate::domain::error::BackendError;
use crate::redis::commands::{Redis, call};

/// The consumer group of the settlers on every stream.
const GROUP: &str = "settle";

/// What the entries of a group wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Entries that were delivered and not acknowledged.
    pub count: i64,
    /// The id of the first of them.
    pub first: Option<String>,
}

/// Appends an entry and returns its id.
pub(crate) async fn append(
    redis: &impl Redis,
    stream: &str,
    fields: &[(&str, &str)],
) -> Result<String, BackendError> {
    let mut command = redis::cmd("XADD");
    command.arg(stream).arg("*").arg(fields);
    call(redis, "log", stream, &command).await
}

/// Waits at most `block` for entries behind the id `after`. `reader` is a handle for blocking reads.
pub(crate) async fn read_after(
    reader: &impl Redis,
    stream: &str,
    after: &str,
    count: usize,
    block: Duration,
) -> Result<Vec<StreamEntry>, BackendError> {
    let mut command = redis::cmd("XREAD");
    command
        .arg("COUNT")
        .arg(count)
        .arg("BLOCK")
        .arg(millis(block))
        .arg("STREAMS")
        .arg(stream)
        .arg(after);
    let reply: Option<StreamReadReply> = call(reader, "feed", stream, &command).await?;
    Ok(entries(reply))
}

/// Creates the consumer group, and the stream, where they are missing.
pub(crate) async fn create_group(redis: &impl Redis, stream: &str) -> Result<(), BackendError> {
    let mut command = redis::cmd("XGROUP");
    command
        .arg("CREATE")
        .arg(stream)
        .arg(GROUP)
        .arg("0")
        .arg("MKSTREAM");
    match redis.call("settle", stream, &command).await {
        Err(error) if error.has_redis_code("BUSYGROUP") => Ok(()),
        created => created.map(drop),
    }
}

/// Takes at most `count` entries: those that a consumer has left for `idle`, else new ones.
pub(crate) async fn take(
    redis: &impl Redis,
    stream: &str,
    consumer: &str,
    idle: Duration,
    count: usize,
) -> Result<Vec<StreamEntry>, BackendError> {
    match try_take(redis, stream, consumer, idle, count).await {
        Err(error) if error.has_redis_code("NOGROUP") => {
            // A sale that was retired has no stream, and must not get one again.
            let mut command = redis::cmd("EXISTS");
            command.arg(stream);
            if call::<i64>(redis, "settle", stream, &command).await? == 0 {
                return Ok(Vec::new());
            }
            create_group(redis, stream).await?;
            try_take(redis, stream, consumer, idle, count).await
        }
        taken => taken,
    }
}

async fn try_take(
    redis: &impl Redis,
    stream: &str,
    consumer: &str,
    idle: Duration,
    count: usize,
) -> Result<Vec<StreamEntry>, BackendError> {
    let mut command = redis::cmd("XAUTOCLAIM");
    command
        .arg(stream)
        .arg(GROUP)
        .arg(consumer)
        .arg(millis(idle))
        .arg("0-0")
        .arg("COUNT")
        .arg(count);
    let left: StreamAutoClaimReply = call(redis, "settle", stream, &command).await?;
    if !left.claimed.is_empty() {
        return Ok(left.claimed.into_iter().map(StreamEntry::from).collect());
    }
    let mut command = redis::cmd("XREADGROUP");
    command
        .arg("GROUP")
        .arg(GROUP)
        .arg(consumer)
        .arg("COUNT")
        .arg(count)
        .arg("STREAMS")
        .arg(stream)
        .arg(">");
    let reply: Option<StreamReadReply> = call(redis, "settle", stream, &command).await?;
    Ok(entries(reply))
}

fn entries(reply: Option<StreamReadReply>) -> Vec<StreamEntry> {
    let keys = reply.map(|reply| reply.keys).unwrap_or_default();
    let ids = keys.into_iter().flat_map(|key| key.ids);
    ids.map(StreamEntry::from).collect()
}

/// Acknowledges entries, so that no other consumer takes them.
pub(crate) async fn acknowledge(
    redis: &impl Redis,
    stream: &str,
    entries: &[StreamEntry],
) -> Result<(), BackendError> {
    let mut command = redis::cmd("XACK");
    command.arg(stream).arg(GROUP);
    for entry in entries {
        command.arg(&entry.id);
    }
    call::<i64>(redis, "settle", stream, &command)
        .await
        .map(drop)
}

/// Deletes entries by their ids.
pub(crate) async fn delete(
    redis: &impl Redis,
    operation: &'static str,
    stream: &str,
    ids: impl Iterator<Item = &str>,
) -> Result<(), BackendError> {
    let mut command = redis::cmd("XDEL");
    command.arg(stream);
    for id in ids {
        command.arg(id);
    }
    call::<i64>(redis, operation, stream, &command)
        .await
        .map(drop)
}

/// The id of the oldest entry.
pub(crate) async fn oldest(
    redis: &impl Redis,
    stream: &str,
) -> Result<Option<String>, BackendError> {
    let mut command = redis::cmd("XRANGE");
    command.arg(stream).arg("-").arg("+").arg("COUNT").arg(1);
    let oldest: Vec<(String, Value)> = call(redis, "settle", stream, &command).await?;
    Ok(oldest.into_iter().next().map(|(id, _)| id))
}

/// How many entries a stream has.
pub(crate) async fn len(redis: &impl Redis, stream: &str) -> Result<i64, BackendError> {
    let mut command = redis::cmd("XLEN");
    command.arg(stream);
    call(redis, "settle", stream, &command).await
}

/// What the group's entries wait for.
pub(crate) async fn pending(redis: &impl Redis, stream: &str) -> Result<Pending, BackendError> {
    let mut command = redis::cmd("XPENDING");
    command.arg(stream).arg(GROUP);
    let summary: Vec<Value> = call(redis, "settle", stream, &command).await?;
    let count = summary.first().cloned().map(redis::from_redis_value);
    let first = summary.get(1).cloned().map(redis::from_redis_value);
    Ok(Pending {
        count: count.and_then(Result::ok).unwrap_or_default(),
        first: first.and_then(Result::ok).flatten(),
    })
}

/// Trims entries that are older than `min_ms`, Unix time in milliseconds.
pub(crate) async fn trim(
    redis: &impl Redis,
    stream: &str,
    min_ms: i64,
) -> Result<(), BackendError> {
    let mut command = redis::cmd("XTRIM");
    command.arg(stream).arg("MINID").arg(format!("{min_ms}-0"));
    call::<i64>(redis, "settle", stream, &command)
        .await
        .map(drop)
}

/// The time of the entry that the group got last, Unix time in milliseconds; 0 for none.
pub(crate) async fn last_delivered_ms(
    redis: &impl Redis,
    stream: &str,
) -> Result<i64, BackendError> {
    let mut command = redis::cmd("XINFO");
    command.arg("GROUPS").arg(stream);
    let groups: StreamInfoGroupsReply = call(redis, "settle", stream, &command).await?;
    let group = groups.groups.iter().find(|group| group.name == GROUP);
    Ok(group.map_or(0, |group| entry_ms(&group.last_delivered_id)))
}

/// The time of a stream id, Unix time in milliseconds.
pub(crate) fn entry_ms(id: &str) -> i64 {
    id.split('-')
        .next()
        .and_then(|ms| ms.parse().ok())
        .unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
