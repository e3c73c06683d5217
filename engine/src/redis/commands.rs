//! The seam to Redis: what the engine needs of it, and nothing of how it is reached.
//!
//! The adapter to a real cluster is [`crate::redis::cluster::RedisCluster`]; a fake implements
//! [`Redis`] as well.

use std::fmt::Debug;
use std::future::Future;

use jiff::Timestamp;
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

    /// Runs one command on every master, on all at once, and returns what each answered. A master
    /// that hangs or is away has an error in the place of its answer, and delays the others' no
    /// longer than a call takes at most.
    fn call_all_masters(
        &self,
        operation: &'static str,
        command: &Cmd,
    ) -> impl Future<Output = Vec<MasterAnswer>> + Send;

    /// A handle for blocking stream reads, which do not delay the calls of other handles.
    fn stream_reader(&self) -> impl Future<Output = Result<Self, BackendError>> + Send;

    /// The state of every node, from what calls and probes found; an implementation without nodes
    /// has none. Does no I/O.
    fn nodes(&self) -> Vec<NodeState> {
        Vec::new()
    }
}

/// What one master answered.
#[derive(Debug, Clone, PartialEq)]
pub struct MasterAnswer {
    /// The address of the master, `host:port`.
    pub node: String,
    /// Its answer.
    pub answer: Result<Value, BackendError>,
}

/// The state of one node of a Redis Cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// Its address, `host:port`.
    pub address: String,
    /// Its id in `CLUSTER NODES`; none where the cluster has not given it yet.
    pub id: Option<String>,
    /// The ranges of slots that it owns, both ends included; none for a replica.
    pub slots: Vec<(u16, u16)>,
    /// That it is away; none where it answers.
    pub away: Option<NodeAbsence>,
}

/// That a node is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAbsence {
    /// Since when.
    pub since: Timestamp,
    /// What the last call or connection failed with.
    pub why: String,
}

impl NodeState {
    /// Ranges of slots as Redis writes them: `0-5460,7000`.
    pub fn show_slots(ranges: &[(u16, u16)]) -> String {
        let show = |(first, last): &(u16, u16)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        ranges.iter().map(show).collect::<Vec<_>>().join(",")
    }
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

/// Asks every master for a sign of life, and returns what each answered.
pub async fn ping(redis: &impl Redis) -> Vec<MasterAnswer> {
    redis.call_all_masters("PING", &redis::cmd("PING")).await
}
