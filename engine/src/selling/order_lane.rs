//! The lane of look-ups of orders: codes that are looked for while a backend fails share a statement.
//!
//! Guarantees: however many purchases fail at once, one look-up of theirs runs at a time, over one
//! connection; what comes beyond the queue fails at once.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::domain::code::CheckoutCode;
use crate::domain::error::{BackendError, SharedError};
use crate::domain::outcome::Outcome;
use crate::postgres::operations::Postgres;
use crate::redis::commands::Redis;
use crate::selling::context::Context;
use crate::selling::lane::{Lane, LaneLimits};

/// All purchases that wait for a Redis node that hangs fail together: at 10,000 calls a second they
/// are some thousands.
const LANE_LIMITS: LaneLimits = LaneLimits {
    batch: 256,
    queue: 4_096,
};

/// What Postgres has of a code: its outcome, none where it has no order, or an error where the server
/// cannot tell.
type Found = Result<Option<Outcome>, BackendError>;

/// The lane of look-ups of a process.
#[derive(Debug)]
pub(crate) struct OrderLane {
    lane: Lane<CheckoutCode, Found>,
}

impl OrderLane {
    /// Starts the lane.
    pub(crate) fn start<R: Redis, P: Postgres>(
        context: &Arc<Context<R, P>>,
        stop: &CancellationToken,
    ) -> Self {
        let lookups = context.lookups.clone();
        let call = move |codes: Vec<CheckoutCode>| {
            let lookups = lookups.clone();
            async move {
                let found = lookups.read_outcomes(&codes).await?;
                Ok(codes.iter().map(|code| found.of(code)).collect())
            }
        };
        let lane = Lane::start("order lane", LANE_LIMITS, &context.tasks, stop, call);
        Self { lane }
    }

    /// The outcome of a code; none where it has no order.
    pub(crate) async fn find(&self, code: &CheckoutCode) -> Result<Option<Outcome>, SharedError> {
        Ok(self.lane.ask(code.clone()).await??)
    }
}
