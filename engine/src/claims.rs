//! Claims: the atomic decision in Redis about which items of a cart its code gets.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::batch::{Batcher, LaneLimits, SharedError};
use crate::carts::FrozenCart;
use crate::code::CodeTail;
use crate::error::StoreError;
use crate::ids::RequestId;
use crate::keys::SaleKeys;
use crate::record::{Claim, Record};
use crate::redis_cluster::{CLAIM, RedisCluster};
use crate::sale::SaleId;

/// A claim runs for some microseconds per item; a batch must not hold the sale's slot long.
const LANE_LIMITS: LaneLimits = LaneLimits {
    batch: 64,
    queue: 4_096,
};

/// A frozen cart that asks for its items.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Its code.
    pub tail: CodeTail,
    /// What it holds.
    pub cart: FrozenCart,
    /// The request that asks.
    pub request_id: RequestId,
}

/// What Redis decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimAnswer {
    /// The outcome of the code, to be committed.
    Decided(Claim),
    /// The sale has not begun, or is over, by the clock of Redis. Nothing was claimed.
    NotActive,
}

/// The lane of claims of a sale.
#[derive(Debug)]
pub struct ClaimLane {
    lane: Batcher<ClaimRequest, ClaimAnswer>,
}

impl ClaimLane {
    /// Starts the lane.
    pub fn start(
        sale: &SaleId,
        redis: &RedisCluster,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let keys = Arc::new((sale.clone(), SaleKeys::new(sale)));
        let redis = redis.clone();
        let lane = Batcher::start("claim lane", LANE_LIMITS, tasks, stop, move |batch| {
            let (redis, keys) = (redis.clone(), keys.clone());
            async move { claim(&redis, &keys.0, &keys.1, &batch).await }
        });
        Self { lane }
    }

    /// Claims a cart.
    pub async fn claim(&self, request: ClaimRequest) -> Result<ClaimAnswer, SharedError> {
        self.lane.ask(request).await
    }
}

/// Claims a batch of carts in one script call; answers in the same order.
pub async fn claim(
    redis: &RedisCluster,
    sale: &SaleId,
    keys: &SaleKeys,
    batch: &[ClaimRequest],
) -> Result<Vec<ClaimAnswer>, StoreError> {
    let answers: Vec<String> = redis
        .eval(&CLAIM, &keys.all(), |cmd| {
            for request in batch {
                cmd.arg(request.tail.as_str())
                    .arg(&request.cart.user)
                    .arg(request.request_id.as_str())
                    .arg(&request.cart.items);
            }
        })
        .await?;
    if answers.len() != batch.len() + 1 {
        return Err(StoreError::unexpected(
            "answer of claim.lua",
            "a count and an answer per claim",
            answers,
        ));
    }
    answers[1..]
        .iter()
        .zip(batch)
        .map(|(answer, request)| parse(answer, sale, request))
        .collect()
}

fn parse(answer: &str, sale: &SaleId, request: &ClaimRequest) -> Result<ClaimAnswer, StoreError> {
    if answer == "n" {
        return Ok(ClaimAnswer::NotActive);
    }
    let bad = || StoreError::unexpected("answer of claim.lua", "c|…, r|… or n", answer);
    let (kind, record) = answer.split_once('|').ok_or_else(bad)?;
    if kind != "c" && kind != "r" {
        return Err(bad());
    }
    Ok(ClaimAnswer::Decided(Claim {
        sale: sale.clone(),
        tail: request.tail.clone(),
        record: Record::parse(record)?,
        replayed: kind == "r",
    }))
}
