//! The seam to Redis: what the engine needs of it, and nothing of how it is reached.
//!
//! The adapter to a real cluster is [`crate::redis::cluster::RedisCluster`]; a fake or a simulator
//! implements [`Redis`] as well.

use std::fmt::Debug;
use std::future::Future;

use redis::{Cmd, FromRedisValue, Value};

use crate::domain::error::BackendError;

/// Commands to a Redis Cluster.
///
/// An implementation waits a bounded time for each answer and returns errors and time-outs as
/// values. A command that timed out may have run, and may run twice: every script is idempotent by
/// an id that the caller chose.
pub trait Redis: Clone + Debug + Send + Sync + 'static {
    /// Runs one command, or one script call, on the master that owns the slot of `key`.
    ///
    /// `operation` names the call in metrics and errors. An error that the server answered with is
    /// a [`BackendError::Redis`] with its code; one whose code is `UNSEEDED` is
    /// [`BackendError::Unseeded`].
    fn call(
        &self,
        operation: &'static str,
        key: &str,
        command: &Cmd,
    ) -> impl Future<Output = Result<Value, BackendError>> + Send;

    /// Runs one command on every master and returns the answer of each; fails when one fails.
    fn call_all_masters(
        &self,
        operation: &'static str,
        command: &Cmd,
    ) -> impl Future<Output = Result<Vec<Value>, BackendError>> + Send;

    /// A handle for blocking stream reads, which do not delay the calls of other handles.
    fn stream_reader(&self) -> impl Future<Output = Result<Self, BackendError>> + Send;
}

/// Runs one command and converts its answer.
pub async fn call<T: FromRedisValue>(
    redis: &impl Redis,
    operation: &'static str,
    key: &str,
    command: &Cmd,
) -> Result<T, BackendError> {
    let value = redis.call(operation, key, command).await?;
    convert(operation, value)
}

/// Converts an answer to the type that is expected of it.
pub(crate) fn convert<T: FromRedisValue>(
    operation: &'static str,
    value: Value,
) -> Result<T, BackendError> {
    T::from_redis_value(value).map_err(|error| BackendError::Unexpected {
        what: operation,
        expected: "an answer of the command's documented type",
        found: error.to_string(),
    })
}

/// Asks every master for a sign of life: a sale needs them all.
pub async fn ping(redis: &impl Redis) -> Result<(), BackendError> {
    redis
        .call_all_masters("PING", &redis::cmd("PING"))
        .await
        .map(drop)
}

/// Asks every master whether it would evict keys; returns a sentence where one would.
///
/// An evicted key is a lost claim or a lost limit, so this is a fault.
pub async fn eviction_fault(redis: &impl Redis) -> Result<Option<String>, BackendError> {
    let mut command = redis::cmd("INFO");
    command.arg("memory");
    let answers = redis.call_all_masters("INFO memory", &command).await?;
    for answer in answers {
        let text: String = convert("INFO memory", answer)?;
        if let Some(policy) = eviction_policy(&text).filter(|policy| *policy != "noeviction") {
            return Ok(Some(format!(
                "a Redis master has maxmemory-policy {policy}: expected noeviction, because an \
                 evicted key is a lost claim; set it with CONFIG SET maxmemory-policy noeviction"
            )));
        }
    }
    Ok(None)
}

fn eviction_policy(info: &str) -> Option<&str> {
    info.lines()
        .find_map(|line| line.strip_prefix("maxmemory_policy:"))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eviction_policy_is_read_from_the_memory_section() {
        let info = "# Memory\r\nused_memory:1\r\nmaxmemory_policy:allkeys-lru\r\nx:2\r\n";
        assert_eq!(eviction_policy(info), Some("allkeys-lru"));
        assert_eq!(eviction_policy("# Memory\r\nused_memory:1\r\n"), None);
    }
}
