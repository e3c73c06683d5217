//! `GET /health`: the state and latency of each dependency.
//!
//! Guarantees: a response within [`PING_LIMIT`] and a little, also where a backend hangs.

use std::time::Duration;

use flashsale_engine::{BackendError, CALL_TIMEOUT, RequestId};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object};

use crate::readiness::{Backend, Readiness};
use crate::responses::{Problem, RETRY_AFTER_SECONDS};

/// The limit on the wait for both backends.
const PING_LIMIT: Duration = Duration::from_millis(1_900);

// Redis calls end before the limit, so that a ping beyond it is one of Postgres.
const _: () = assert!(CALL_TIMEOUT.as_millis() < PING_LIMIT.as_millis());

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum State {
    /// The dependency responds.
    Up,
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
}

/// The process and its dependencies.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct HealthBody {
    /// Up where all dependencies are up, else down.
    status: State,
    /// Redis Cluster.
    redis: Dependency,
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
    /// All dependencies respond.
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
        }
    }

    /// Without the error of the backend: its addresses and user names belong into the log alone.
    fn down() -> Self {
        Self {
            status: State::Down,
            latency_ms: None,
            error: Some("no usable response; the log of this process has the cause".to_owned()),
        }
    }

    fn from_ping(ping: Result<Duration, BackendError>, request_id: &RequestId) -> Self {
        match ping {
            Ok(took) => Self {
                status: State::Up,
                latency_ms: Some((took.as_secs_f64() * 1e6).round() / 1e3),
                error: None,
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

/// The state of Redis and of Postgres.
async fn dependencies(readiness: &Readiness, request_id: &RequestId) -> (Dependency, Dependency) {
    let Some(selling) = readiness.selling() else {
        // No warning here: each failed attempt to connect is in the log.
        return match readiness.unreachable_backend() {
            Some(Backend::Redis) => (Dependency::down(), Dependency::unknown()),
            Some(Backend::Postgres) => (Dependency::unknown(), Dependency::down()),
            None => (Dependency::unknown(), Dependency::unknown()),
        };
    };
    match tokio::time::timeout(PING_LIMIT, selling.ping()).await {
        Ok((redis, postgres)) => (
            Dependency::from_ping(redis, request_id),
            Dependency::from_ping(postgres, request_id),
        ),
        Err(_) => {
            tracing::warn!(
                request_id = request_id.as_str(),
                "dependency down: no response of Postgres within {PING_LIMIT:?}"
            );
            (Dependency::unknown(), Dependency::down())
        }
    }
}

/// Serves GET /health.
pub async fn health(readiness: &Readiness, request_id: &RequestId) -> HealthResponse {
    let (redis, postgres) = dependencies(readiness, request_id).await;
    let up = redis.status == State::Up && postgres.status == State::Up;
    let active = readiness.selling().and_then(|selling| selling.active());
    let body = Json(HealthBody {
        status: if up { State::Up } else { State::Down },
        redis,
        postgres,
        not_ready: readiness.not_ready(),
        active_sale: active.map(|served| served.sale.id.to_string()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    if up {
        HealthResponse::Up(body)
    } else {
        HealthResponse::Down(body, RETRY_AFTER_SECONDS)
    }
}
