//! `GET /health`: the state and latency of each dependency.

use std::time::Duration;

use flashsale_engine::StoreError;
use flashsale_engine::shop::Shop;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object};

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum State {
    /// It answers.
    Up,
    /// It does not.
    Down,
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
    /// Up when everything is.
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
    /// A dependency does not answer.
    #[oai(status = 503)]
    Down(Json<HealthBody>),
}

fn dependency(pinged: Result<Duration, StoreError>) -> Dependency {
    match pinged {
        Ok(took) => Dependency {
            status: State::Up,
            latency_ms: Some((took.as_secs_f64() * 1e6).round() / 1e3),
            error: None,
        },
        Err(error) => {
            tracing::warn!(error = %error, "dependency down");
            Dependency {
                status: State::Down,
                latency_ms: None,
                // Addresses and user names are for the log, not for whoever asks.
                error: Some("no usable answer; the log of this process says why".to_owned()),
            }
        }
    }
}

/// Serves GET /health.
pub async fn get(shop: &Shop) -> HealthResponse {
    let (redis, postgres) = shop.ping().await;
    let (redis, postgres) = (dependency(redis), dependency(postgres));
    let up = redis.status == State::Up && postgres.status == State::Up;
    let body = Json(HealthBody {
        status: if up { State::Up } else { State::Down },
        redis,
        postgres,
        not_ready: shop.not_ready(),
        active_sale: shop.active().map(|open| open.sale.id.to_string()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    if up {
        HealthResponse::Up(body)
    } else {
        HealthResponse::Down(body)
    }
}
