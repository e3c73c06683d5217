//! `GET /health`: the state and latency of each dependency.
//!
//! Guarantees: a response within [`PING_LIMIT`] and a little, also where a backend hangs.

use std::time::Duration;

use flashsale_engine::redis::commands::NodeState;
use flashsale_engine::{BackendError, CALL_TIMEOUT, RedisPing, RequestId};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object};

use crate::readiness::{Backend, Readiness};
use crate::responses::{Problem, RETRY_AFTER_SECONDS};

/// The limit on the wait for both backends.
const PING_LIMIT: Duration = Duration::from_millis(1_900);

// Redis calls end before the limit, so that a ping beyond it is one of Postgres.
const _: () = assert!(CALL_TIMEOUT.as_millis() < PING_LIMIT.as_millis());

/// Up, down, or in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum State {
    /// The dependency responds.
    Up,
    /// A part of the dependency responds: some nodes of the Redis Cluster are away. What needs
    /// them fails, and the rest works.
    Degraded,
    /// The dependency does not respond.
    Down,
    /// The other dependency does not respond, which left no time to check this one.
    Unknown,
}

/// One dependency.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Dependency {
    /// Whether the dependency responds.
    status: State,
    /// Duration of its response, in milliseconds.
    latency_ms: Option<f64>,
    /// Why it is down.
    error: Option<String>,
    /// Since when it is down.
    since: Option<String>,
}

/// A Redis Cluster.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct RedisHealth {
    /// Whether the masters respond.
    status: State,
    /// Time until all masters had responded or failed, in milliseconds.
    latency_ms: Option<f64>,
    /// Why it is down.
    error: Option<String>,
    /// The masters, and the replicas that are away.
    nodes: Vec<RedisNode>,
    /// Settings of the cluster that make a fault worse than it has to be; absent where there is
    /// none, or where the user may not read them.
    warning: Option<String>,
}

/// A node of a Redis Cluster.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct RedisNode {
    /// Its id in `CLUSTER NODES`; absent where it is not known yet.
    id: Option<String>,
    /// The slots that it owns, as `0-5460,7000`; absent for a replica.
    slots: Option<String>,
    /// Up or down.
    status: State,
    /// Since when it is down.
    since: Option<String>,
}

/// The process and its dependencies.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct HealthBody {
    /// The worst state of a dependency: up, degraded or down.
    status: State,
    /// Redis Cluster.
    redis: RedisHealth,
    /// Postgres.
    postgres: Dependency,
    /// Why this process should get no requests; absent where it is ready.
    not_ready: Option<String>,
    /// The id of the active sale; absent where no sale is active.
    active_sale: Option<String>,
    /// The version of this program.
    version: String,
}

/// Responses of GET /health.
#[derive(Debug, ApiResponse)]
pub enum HealthResponse {
    /// All dependencies respond, or a part of Redis does.
    #[oai(status = 200)]
    Up(Json<HealthBody>),
    /// invalid_request: a malformed body.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// A dependency does not respond.
    #[oai(status = 503)]
    Down(
        Json<HealthBody>,
        /// Seconds to wait before the next request.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

impl Dependency {
    fn unknown() -> Self {
        Self {
            status: State::Unknown,
            latency_ms: None,
            error: None,
            since: None,
        }
    }

    /// Without the error of the backend: its addresses and user names belong into the log alone.
    fn down() -> Self {
        Self {
            status: State::Down,
            latency_ms: None,
            error: Some("no usable response; the log of this process has the cause".to_owned()),
            since: None,
        }
    }

    fn from_ping(ping: Result<Duration, BackendError>, request_id: &RequestId) -> Self {
        match ping {
            Ok(took) => Self {
                status: State::Up,
                latency_ms: Some((took.as_secs_f64() * 1e6).round() / 1e3),
                error: None,
                since: None,
            },
            Err(error) => {
                tracing::warn!(
                    request_id = request_id.as_str(), error = %error, "dependency down"
                );
                Self::down()
            }
        }
    }
}

impl RedisHealth {
    fn new(dependency: Dependency, nodes: Vec<RedisNode>) -> Self {
        let Dependency {
            status,
            latency_ms,
            error,
            // Each node says since when.
            since: _,
        } = dependency;
        Self {
            status,
            latency_ms,
            error,
            nodes,
            warning: None,
        }
    }

    fn from_ping(ping: RedisPing, request_id: &RequestId) -> Self {
        let nodes = ping.nodes.into_iter();
        let nodes = nodes.filter(|node| !node.slots.is_empty() || node.away.is_some());
        let mut redis = Self::new(
            Dependency::from_ping(ping.answer, request_id),
            nodes.map(RedisNode::from).collect(),
        );
        if redis.status == State::Up && !ping.is_whole {
            redis.status = State::Degraded;
        }
        redis.warning = (!ping.warnings.is_empty()).then(|| ping.warnings.join("; "));
        redis
    }
}

impl From<NodeState> for RedisNode {
    /// Without the address, which is in the log and in the metrics alone.
    fn from(node: NodeState) -> Self {
        let status = match node.away {
            None => State::Up,
            Some(_) => State::Down,
        };
        Self {
            id: node.id,
            slots: (!node.slots.is_empty()).then(|| NodeState::show_slots(&node.slots)),
            status,
            since: node.away.map(|away| away.since.to_string()),
        }
    }
}

/// The state of Redis and of Postgres.
async fn dependencies(readiness: &Readiness, request_id: &RequestId) -> (RedisHealth, Dependency) {
    let redis = |dependency| RedisHealth::new(dependency, Vec::new());
    let Some(selling) = readiness.selling() else {
        // No warning here: each failed attempt to connect is in the log.
        return match readiness.unreachable_backend() {
            Some(Backend::Redis) => (redis(Dependency::down()), Dependency::unknown()),
            Some(Backend::Postgres) => (redis(Dependency::unknown()), Dependency::down()),
            None => (redis(Dependency::unknown()), Dependency::unknown()),
        };
    };
    let (redis, mut postgres) = match tokio::time::timeout(PING_LIMIT, selling.ping()).await {
        Ok((redis, postgres)) => (
            RedisHealth::from_ping(redis, request_id),
            Dependency::from_ping(postgres, request_id),
        ),
        Err(_) => {
            tracing::warn!(
                request_id = request_id.as_str(),
                "dependency down: no response of Postgres within {PING_LIMIT:?}"
            );
            (redis(Dependency::unknown()), Dependency::down())
        }
    };
    if postgres.status == State::Down {
        postgres.since = selling.postgres_away_since().map(|since| since.to_string());
    }
    (redis, postgres)
}

/// Serves GET /health.
pub async fn health(readiness: &Readiness, request_id: &RequestId) -> HealthResponse {
    let (redis, postgres) = dependencies(readiness, request_id).await;
    let status = match (redis.status, postgres.status) {
        (redis @ (State::Up | State::Degraded), State::Up) => redis,
        _ => State::Down,
    };
    let active = readiness.selling().and_then(|selling| selling.active());
    let body = Json(HealthBody {
        status,
        redis,
        postgres,
        not_ready: readiness.not_ready(),
        active_sale: active.map(|served| served.sale.id.to_string()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    match status {
        State::Down => HealthResponse::Down(body, RETRY_AFTER_SECONDS),
        _ => HealthResponse::Up(body),
    }
}
