//! The lane of claims: frozen carts of one sale share a script call. After a failed call they wait for
//! a merge of the sale ([`crate::selling::sale_merge`]).

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::code::CheckoutCode;
use crate::domain::error::{BackendError, SharedError};
use crate::domain::outcome::Claim;
use crate::domain::sale::SaleId;
use crate::postgres::operations::Postgres;
use crate::redis::codec::ClaimDecision;
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;
use crate::redis::scripts::claim::{ClaimRequest, claim};
use crate::selling::context::Context;
use crate::selling::lane::{Lane, LaneLimits};
use crate::selling::sale_merge::SaleMerge;

/// A claim runs for some microseconds per item; a batch must not hold the sale's slot long.
const LANE_LIMITS: LaneLimits = LaneLimits {
    batch: 64,
    queue: 4_096,
    pause: Duration::ZERO,
};

/// What Redis decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClaimAnswer {
    /// The outcome of the code, to be committed.
    Decided(Claim),
    /// The sale has not begun, or is over, by the clock of Redis. Nothing was claimed.
    NotActive,
}

/// The lane of claims of a sale.
#[derive(Debug)]
pub(crate) struct ClaimLane {
    lane: Lane<ClaimRequest, ClaimAnswer>,
}

impl ClaimLane {
    /// Starts the lane.
    pub(crate) fn start<R: Redis, P: Postgres>(
        sale: &SaleId,
        keys: &Arc<SaleKeys>,
        merge: &Arc<SaleMerge>,
        context: &Arc<Context<R, P>>,
        stop: &CancellationToken,
    ) -> Self {
        let (sale, keys, redis) = (sale.clone(), keys.clone(), context.redis.clone());
        let merge = merge.clone();
        let call = move |batch: Vec<ClaimRequest>| {
            let (sale, keys, redis) = (sale.clone(), keys.clone(), redis.clone());
            let merge = merge.clone();
            async move {
                merge.before_claims(&redis, &keys).await;
                let claimed = claim_batch(&redis, &sale, &keys, &batch).await;
                claimed.inspect_err(|_| merge.note_failure())
            }
        };
        let lane = Lane::start("claim lane", LANE_LIMITS, &context.tasks, stop, call);
        Self { lane }
    }

    /// Claims a cart.
    pub(crate) async fn claim(&self, request: ClaimRequest) -> Result<ClaimAnswer, SharedError> {
        self.lane.ask(request).await
    }
}

async fn claim_batch(
    redis: &impl Redis,
    sale: &SaleId,
    keys: &SaleKeys,
    batch: &[ClaimRequest],
) -> Result<Vec<ClaimAnswer>, BackendError> {
    let decisions = claim(redis, keys, batch).await?;
    let answer = |(decision, request): (ClaimDecision, &ClaimRequest)| match decision {
        ClaimDecision::NotActive => ClaimAnswer::NotActive,
        ClaimDecision::Decided { outcome, replayed } => ClaimAnswer::Decided(Claim {
            code: CheckoutCode {
                sale: sale.clone(),
                suffix: request.suffix,
            },
            outcome,
            replayed,
        }),
    };
    Ok(decisions.into_iter().zip(batch).map(answer).collect())
}
