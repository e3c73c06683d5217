//! The connection to Redis Cluster: scripts and commands with bounded waiting.
//!
//! Promises: no call waits longer than [`CALL_TIMEOUT`]; a script that a node does not know is
//! sent whole to that node alone. A call that timed out may have run, and may run twice: all
//! scripts are idempotent.

use std::sync::Arc;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, Value};

use crate::error::StoreError;
use crate::metrics::Metrics;

/// The longest that any call to Redis may take, redirects and retries included.
pub const CALL_TIMEOUT: Duration = Duration::from_millis(1_500);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const NODE_TIMEOUT: Duration = Duration::from_millis(1_000);

/// A Lua script with the name that metrics and errors know it by.
#[derive(Debug)]
pub struct Script {
    name: &'static str,
    source: &'static str,
    sha: String,
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $label:literal, $file:literal;)*) => {
        $($(#[$doc])*
        pub static $name: LazyLock<Script> = LazyLock::new(|| {
            let source = include_str!(concat!("scripts/", $file));
            Script { name: $label, source, sha: redis::Script::new(source).get_hash().to_owned() }
        });)*

        /// All scripts, to be loaded ahead.
        pub fn all_scripts() -> Vec<&'static Script> {
            vec![$(&*$name),*]
        }
    };
}

scripts! {
    /// Puts items into carts.
    ADD = "add", "add.lua";
    /// Freezes a cart for its purchase.
    FREEZE = "freeze", "freeze.lua";
    /// Claims carts.
    CLAIM = "claim", "claim.lua";
    /// Puts an outcome right.
    REPAIR = "repair", "repair.lua";
    /// Merges purchases from Postgres.
    RESTORE = "restore", "restore.lua";
    /// Merges carts from the log of attempts.
    RESTORE_CARTS = "restore", "restore_carts.lua";
    /// Makes a sale or a partition ready.
    SEED = "seed", "seed.lua";
    /// Stops a sale or a partition.
    CLOSE = "close", "close.lua";
    /// Gives items back after the close.
    RELEASE = "repair", "release.lua";
    /// What a feed starts from.
    SNAPSHOT = "snapshot", "snapshot.lua";
}

/// A handle to the cluster; clones share its connection to each node. One is enough: calls are
/// batched before they come here, and those that still come together share a write.
#[derive(Clone)]
pub struct RedisCluster {
    connection: ClusterConnection,
    client: ClusterClient,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for RedisCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisCluster")
    }
}

impl RedisCluster {
    /// Connects to the cluster that the nodes of `url` belong to (`redis://host:port`, comma
    /// separated; any node will do).
    pub async fn connect(url: &str, metrics: Arc<Metrics>) -> Result<Self, StoreError> {
        let bad_url = || StoreError::Url {
            store: "Redis",
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
        })
    }

    /// A handle with a connection of its own, for calls that block.
    pub async fn dedicated(&self) -> Result<Self, StoreError> {
        Ok(Self {
            connection: open(&self.client).await?,
            client: self.client.clone(),
            metrics: self.metrics.clone(),
        })
    }

    /// Runs a script. `keys` share one slot; `arguments` appends ARGV.
    pub async fn eval<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: impl Fn(&mut Cmd),
    ) -> Result<T, StoreError> {
        let call = |command: &str, body: &str| {
            let mut cmd = redis::cmd(command);
            cmd.arg(body).arg(keys.len()).arg(keys);
            arguments(&mut cmd);
            cmd
        };
        match self.run(script.name, &call("EVALSHA", &script.sha)).await {
            Err(StoreError::Redis { source, .. }) if source.code() == Some("NOSCRIPT") => {
                self.run(script.name, &call("EVAL", script.source)).await
            }
            answer => answer,
        }
    }

    /// Runs a command; `name` is one of the timed names of [`crate::metrics`].
    pub async fn run<T: FromRedisValue>(
        &self,
        name: &'static str,
        cmd: &Cmd,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        let started = Instant::now();
        let answer = tokio::time::timeout(
            CALL_TIMEOUT,
            redis::aio::ConnectionLike::req_packed_command(&mut connection, cmd),
        )
        .await;
        self.metrics.time_redis(name, started.elapsed());
        let answer = answer.map_err(|_| StoreError::TimedOut {
            store: "Redis",
            what: name,
            after: CALL_TIMEOUT,
        })?;
        match answer
            .and_then(Value::extract_error)
            .and_then(|value| Ok(T::from_redis_value(value)?))
        {
            Ok(value) => Ok(value),
            Err(source) if source.code() == Some("UNSEEDED") => Err(StoreError::Unseeded),
            Err(source) => Err(StoreError::Redis { what: name, source }),
        }
    }

    /// Loads every script into every master, so that the first customer does not wait for it.
    pub async fn load_scripts(&self) -> Result<(), StoreError> {
        for script in all_scripts() {
            let mut cmd = redis::cmd("SCRIPT");
            cmd.arg("LOAD").arg(script.source);
            self.run::<Value>("seed", &cmd).await?;
        }
        Ok(())
    }

    /// Asks every master whether it would evict keys; returns a sentence where one would.
    ///
    /// An evicted key is a lost claim or a forgotten limit, so this is a fault.
    pub async fn eviction_fault(&self) -> Result<Option<String>, StoreError> {
        let mut cmd = redis::cmd("INFO");
        cmd.arg("memory");
        let answer = self.ask_all_masters("INFO memory", cmd, None).await?;
        let text = format!("{answer:?}");
        // A policy evicts nothing where there is no limit to memory.
        let fault = text.split("maxmemory_policy:").skip(1).find_map(|rest| {
            let policy = rest
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
                .next()
                .unwrap_or_default();
            (policy != "noeviction").then(|| {
                format!(
                    "a Redis master has maxmemory-policy {policy}: expected noeviction, because \
                     an evicted key is a lost claim; set it with CONFIG SET maxmemory-policy \
                     noeviction"
                )
            })
        });
        Ok(fault)
    }

    /// Asks every master for a sign of life: a sale needs them all.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let all = redis::cluster_routing::ResponsePolicy::AllSucceeded;
        self.ask_all_masters("PING", redis::cmd("PING"), Some(all))
            .await
            .map(drop)
    }

    async fn ask_all_masters(
        &self,
        what: &'static str,
        cmd: Cmd,
        policy: Option<redis::cluster_routing::ResponsePolicy>,
    ) -> Result<Value, StoreError> {
        let mut connection = self.connection.clone();
        let masters = redis::cluster_routing::MultipleNodeRoutingInfo::AllMasters;
        let routing = redis::cluster_routing::RoutingInfo::MultiNode((masters, policy));
        tokio::time::timeout(CALL_TIMEOUT, connection.route_command(cmd, routing))
            .await
            .map_err(|_| StoreError::TimedOut {
                store: "Redis",
                what,
                after: CALL_TIMEOUT,
            })?
            .map_err(|source| StoreError::Redis { what, source })
    }

    /// The metrics that calls are counted in.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }
}

async fn open(client: &ClusterClient) -> Result<ClusterConnection, StoreError> {
    // The library may wait for ever here when nodes accept and keep silent.
    tokio::time::timeout(CONNECT_TIMEOUT * 2, client.get_async_connection())
        .await
        .map_err(|_| StoreError::TimedOut {
            store: "Redis",
            what: "connect",
            after: CONNECT_TIMEOUT * 2,
        })?
        .map_err(|source| StoreError::Redis {
            what: "connect",
            source,
        })
}
