//! `GET /health`: the state and latency of each dependency.
//!
//! Promises: an answer within [`PING_LIMIT`] and a little, also where a backend hangs.

use std::time::Duration;

use flashsale_engine::{BackendError, CALL_TIMEOUT, RequestId};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object};

use crate::readiness::{Backend, Readiness};
use crate::responses::problem::{Problem, RETRY_AFTER_SECONDS};

/// The longest that the backends are waited for.
pub const PING_LIMIT: Duration = Duration::from_millis(1_900);

// A ping that takes longer is one of Postgres.
const _: () = assert!(CALL_TIMEOUT.as_millis() < PING_LIMIT.as_millis());

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum State {
    /// It answers.
    Up,
    /// It does not.
    Down,
    /// It was not asked, or could not be waited for, because the other one does not answer.
    Unknown,
}

/// One dependency.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Dependency {
    /// Whether it answers.
    status: State,
    /// How long its answer took, in milliseconds.
    latency_ms: Option<f64>,
    /// What was wrong.
    error: Option<String>,
}

/// The process and what it depends on.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct HealthBody {
    /// Up when everything is, else down.
    status: State,
    /// Redis Cluster.
    redis: Dependency,
    /// Postgres.
    postgres: Dependency,
    /// Why this process should get no requests, where it should not.
    not_ready: Option<String>,
    /// The active sale's id, where one is.
    active_sale: Option<String>,
    /// The version of this program.
    version: String,
}

/// Answers of GET /health.
#[derive(Debug, ApiResponse)]
pub enum HealthResponse {
    /// Everything answers.
    #[oai(status = 200)]
    Up(Json<HealthBody>),
    /// invalid_request: a body that is none.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// A dependency does not answer.
    #[oai(status = 503)]
    Down(
        Json<HealthBody>,
        /// Seconds to wait before asking again.
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

    /// Addresses and user names are for the log, not for whoever asks.
    fn down() -> Self {
        Self {
            status: State::Down,
            latency_ms: None,
            error: Some("no usable answer; the log of this process says why".to_owned()),
        }
    }

    fn pinged(pinged: Result<Duration, BackendError>, request_id: &RequestId) -> Self {
        match pinged {
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
        // Which of them it waits for is in the log already, once a second.
        return match readiness.not_reached() {
            Some(Backend::Redis) => (Dependency::down(), Dependency::unknown()),
            Some(Backend::Postgres) => (Dependency::unknown(), Dependency::down()),
            None => (Dependency::unknown(), Dependency::unknown()),
        };
    };
    match tokio::time::timeout(PING_LIMIT, selling.ping()).await {
        Ok((redis, postgres)) => (
            Dependency::pinged(redis, request_id),
            Dependency::pinged(postgres, request_id),
        ),
        Err(_) => {
            tracing::warn!(
                request_id = request_id.as_str(),
                "dependency down: no answer of Postgres within {PING_LIMIT:?}"
            );
            (Dependency::unknown(), Dependency::down())
        }
    }
}

/// Serves GET /health.
pub async fn get(readiness: &Readiness, request_id: &RequestId) -> HealthResponse {
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
