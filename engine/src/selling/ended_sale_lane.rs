//! The lane of look-ups of codes whose sale takes no claim: a crowd that asks at the end of a sale
//! shares two statements.
//!
//! Guarantees: the stage of a sale is read before the orders, so that a code without an order in a
//! settled sale never gets one; one look-up runs at a time, over one connection.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::domain::code::CheckoutCode;
use crate::domain::error::{BackendError, SharedError};
use crate::domain::lifecycle::SaleStage;
use crate::domain::outcome::Outcome;
use crate::domain::sale::SaleId;
use crate::postgres::operations::Postgres;
use crate::redis::commands::Redis;
use crate::selling::context::Context;
use crate::selling::lane::{Lane, LaneLimits};

/// Everybody with an open cart may ask as soon as a sale ends.
const LANE_LIMITS: LaneLimits = LaneLimits {
    batch: 256,
    queue: 4_096,
};

/// What Postgres has of a code.
#[derive(Debug)]
pub(crate) struct CodeOfEndedSale {
    /// The stage of its sale; none where there is no such sale.
    pub stage: Option<SaleStage>,
    /// Its outcome; none where it had no order when the sale was in that stage.
    pub outcome: Option<Outcome>,
}

/// The lane of a process.
#[derive(Debug)]
pub(crate) struct EndedSaleLane {
    lane: Lane<CheckoutCode, Result<CodeOfEndedSale, BackendError>>,
}

impl EndedSaleLane {
    /// Starts the lane.
    pub(crate) fn start<R: Redis, P: Postgres>(
        context: &Arc<Context<R, P>>,
        stop: &CancellationToken,
    ) -> Self {
        let lookups = context.lookups.clone();
        let call = move |codes: Vec<CheckoutCode>| {
            let lookups = lookups.clone();
            async move { find_all(&*lookups, &codes).await }
        };
        let lane = Lane::start("ended-sale lane", LANE_LIMITS, &context.tasks, stop, call);
        Self { lane }
    }

    /// What Postgres has of a code.
    pub(crate) async fn find(&self, code: &CheckoutCode) -> Result<CodeOfEndedSale, SharedError> {
        Ok(self.lane.ask(code.clone()).await??)
    }
}

async fn find_all(
    postgres: &impl Postgres,
    codes: &[CheckoutCode],
) -> Result<Vec<Result<CodeOfEndedSale, BackendError>>, BackendError> {
    let mut stages = HashMap::<&SaleId, Option<SaleStage>>::new();
    for code in codes {
        if !stages.contains_key(&code.sale) {
            stages.insert(&code.sale, postgres.read_stage(&code.sale).await?);
        }
    }
    let found = postgres.read_outcomes(codes).await?;
    let answer = |code: &CheckoutCode| {
        Ok(CodeOfEndedSale {
            stage: stages.get(&code.sale).copied().flatten(),
            outcome: found.of(code)?,
        })
    };
    Ok(codes.iter().map(answer).collect())
}
