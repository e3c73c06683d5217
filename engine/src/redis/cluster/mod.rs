//! The adapter of [`Redis`] to a Redis Cluster.
//!
//! Guarantees: no call waits longer than [`CALL_TIMEOUT`].

use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{Cmd, RedisError, Value};

use crate::domain::clock::Clock;
use crate::domain::error::BackendError;
use crate::observability::metrics::Metrics;
use crate::redis::commands::Redis;

/// The longest that any call to Redis may take, redirects and retries included.
pub const CALL_TIMEOUT: Duration = Duration::from_millis(1_500);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const NODE_TIMEOUT: Duration = Duration::from_millis(1_000);

/// A handle to the cluster; clones share its connection to each node. One is enough: calls are
/// batched before they come here, and those that still come together share a write.
#[derive(Clone)]
pub struct RedisCluster {
    connection: ClusterConnection,
    client: ClusterClient,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl std::fmt::Debug for RedisCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisCluster")
    }
}

impl RedisCluster {
    /// Connects to the cluster that the nodes of `url` belong to (`redis://host:port`, comma
    /// separated; any node will do).
    pub async fn connect(
        url: &str,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Result<Self, BackendError> {
        let bad_url = || BackendError::Url {
            backend: "Redis",
            expected: "redis://[user:password@]host:port of one or more cluster nodes, \
                       comma separated (rediss:// for TLS)",
        };
        let nodes: Vec<&str> = url.split(',').map(str::trim).collect();
        let client = ClusterClient::builder(nodes)
            .tcp_settings(redis::io::tcp::TcpSettings::default().set_nodelay(true))
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(NODE_TIMEOUT)
            .retries(8)
            .min_retry_wait(20)
            .max_retry_wait(300)
            .build()
            .map_err(|_| bad_url())?;
        Ok(Self {
            connection: open(&client).await?,
            client,
            metrics,
            clock,
        })
    }
}

impl Redis for RedisCluster {
    async fn call(
        &self,
        operation: &'static str,
        _key: &str,
        command: &Cmd,
    ) -> Result<Value, BackendError> {
        let mut connection = self.connection.clone();
        let timer = self.clock.start_timer();
        let answer =
            tokio::time::timeout(CALL_TIMEOUT, connection.req_packed_command(command)).await;
        self.metrics.time_redis(operation, timer.elapsed());
        answer
            .map_err(|_| timed_out(operation, CALL_TIMEOUT))?
            .and_then(Value::extract_error)
            .map_err(|error| from_redis(operation, &error))
    }

    async fn call_all_masters(
        &self,
        operation: &'static str,
        command: &Cmd,
    ) -> Result<Vec<Value>, BackendError> {
        let mut connection = self.connection.clone();
        let routing = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let call = connection.route_command(command.clone(), routing);
        let answer = tokio::time::timeout(CALL_TIMEOUT, call)
            .await
            .map_err(|_| timed_out(operation, CALL_TIMEOUT))?
            .and_then(Value::extract_error)
            .map_err(|error| from_redis(operation, &error))?;
        // The library returns a map from the address of each node to its answer.
        Ok(match answer {
            Value::Map(nodes) => nodes.into_iter().map(|(_, answer)| answer).collect(),
            one => vec![one],
        })
    }

    async fn stream_reader(&self) -> Result<Self, BackendError> {
        Ok(Self {
            connection: open(&self.client).await?,
            client: self.client.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
        })
    }
}

async fn open(client: &ClusterClient) -> Result<ClusterConnection, BackendError> {
    // The library may wait for ever here when nodes accept and keep silent.
    tokio::time::timeout(CONNECT_TIMEOUT * 2, client.get_async_connection())
        .await
        .map_err(|_| timed_out("connect", CONNECT_TIMEOUT * 2))?
        .map_err(|error| from_redis("connect", &error))
}

fn timed_out(operation: &'static str, after: Duration) -> BackendError {
    BackendError::TimedOut {
        backend: "Redis",
        operation,
        after,
    }
}

fn from_redis(operation: &'static str, error: &RedisError) -> BackendError {
    match error.code() {
        Some("UNSEEDED") => BackendError::Unseeded,
        code => BackendError::Redis {
            operation,
            code: code.map(str::to_owned),
            message: error.to_string(),
        },
    }
}
