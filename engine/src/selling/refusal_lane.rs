//! Attempts that touch no cart: refused from memory, or while no sale is active.
//!
//! Guarantees: such an attempt, too, is in a stream before it is answered. All of them share one
//! lane, so that a refusal costs a fraction of a round trip. A node that is away costs no refusal:
//! another stream takes it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::domain::attempt::Attempt;
use crate::domain::error::{BackendError, SharedError};
use crate::domain::sale::FlashSaleName;
use crate::postgres::operations::Postgres;
use crate::redis::commands::Redis;
use crate::redis::keys;
use crate::redis::streams;
use crate::selling::attempt_log::{Answered, AttemptLog};
use crate::selling::context::Context;
use crate::selling::lane::{Lane, LaneLimits};

const LANE_LIMITS: LaneLimits = LaneLimits {
    batch: 256,
    queue: 16_384,
};

/// The lane of refusals of a FlashSale.
#[derive(Debug)]
pub(crate) struct RefusalLane {
    lane: Lane<Attempt, ()>,
}

impl RefusalLane {
    /// Starts the lane.
    pub(crate) fn start<R: Redis, P: Postgres>(
        flash_sale: &FlashSaleName,
        context: &Arc<Context<R, P>>,
        log: &Arc<AttemptLog>,
        stop: &CancellationToken,
    ) -> Self {
        let streams: Arc<[Arc<str>]> = keys::refusals(flash_sale).map(Arc::from).into();
        let (shared, log) = (context.clone(), log.clone());
        let call = move |batch| {
            let (context, log, streams) = (shared.clone(), log.clone(), streams.clone());
            async move { append(&context, &log, &streams, batch).await }
        };
        let lane = Lane::start("refusal lane", LANE_LIMITS, &context.tasks, stop, call);
        Self { lane }
    }

    /// Logs an attempt whose outcome is decided; once this returns it may be answered.
    pub(crate) async fn log(&self, attempt: Attempt) -> Result<(), SharedError> {
        self.lane.ask(attempt).await
    }
}

async fn append<R: Redis, P: Postgres>(
    context: &Context<R, P>,
    log: &AttemptLog,
    candidates: &[Arc<str>],
    attempts: Vec<Attempt>,
) -> Result<Vec<()>, BackendError> {
    // No sale fixes the format of this stream, so each entry has its version.
    let format = context.newest_format;
    let (version, text) = (
        format.version().to_string(),
        format.encode_refused(attempts.iter()),
    );
    let fields = [("v", version.as_str()), ("b", text.as_str())];
    let (stream, entry) = append_to_first(&context.redis, candidates, &fields).await?;
    let answers = vec![(); attempts.len()];
    log.keep(Answered {
        stream,
        entry,
        attempts,
        _call: None,
    });
    Ok(answers)
}

/// Appends to the first stream that takes the entry. An attempt that a lost reply leaves in two
/// streams is logged once, because it has one id.
async fn append_to_first(
    redis: &impl Redis,
    candidates: &[Arc<str>],
    fields: &[(&str, &str)],
) -> Result<(Arc<str>, String), BackendError> {
    let mut first_error = None;
    for stream in candidates {
        match streams::append(redis, stream, fields).await {
            Ok(entry) => return Ok((stream.clone(), entry)),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    // There is a stream, so there is an error.
    Err(first_error.unwrap_or(BackendError::Unseeded))
}
