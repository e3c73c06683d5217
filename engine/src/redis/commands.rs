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
