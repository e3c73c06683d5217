//! Attempts that touch no cart: refused from memory, or while no sale is active.
//!
//! Promises: such an attempt, too, is in a stream before it is answered. All of them share one
//! lane, so that a refusal costs a fraction of a round trip.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempts::{Answered, Attempt, AttemptLog};
use crate::batch::{Batcher, LaneLimits, SharedError};
use crate::error::StoreError;
use crate::keys;
use crate::redis_cluster::RedisCluster;
use crate::sale::FlashSaleName;

const LANE_LIMITS: LaneLimits = LaneLimits {
    batch: 256,
    queue: 16_384,
};

/// The lane of refusals of a FlashSale.
#[derive(Debug)]
pub struct RefusalLane {
    lane: Batcher<Attempt, ()>,
}

impl RefusalLane {
    /// Starts the lane.
    pub fn start(
        flash_sale: &FlashSaleName,
        redis: &RedisCluster,
        log: &Arc<AttemptLog>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let stream: Arc<str> = keys::refusals(flash_sale).into();
        let (redis, log) = (redis.clone(), log.clone());
        let lane = Batcher::start("refusal lane", LANE_LIMITS, tasks, stop, move |batch| {
            let (redis, log, stream) = (redis.clone(), log.clone(), stream.clone());
            async move { append(&redis, &log, stream, batch).await }
        });
        Self { lane }
    }

    /// Logs an attempt whose outcome is decided; once this returns it may be answered.
    pub async fn log(&self, attempt: Attempt) -> Result<(), SharedError> {
        self.lane.ask(attempt).await
    }
}

async fn append(
    redis: &RedisCluster,
    log: &AttemptLog,
    stream: Arc<str>,
    attempts: Vec<Attempt>,
) -> Result<Vec<()>, StoreError> {
    let lines: Vec<String> = attempts.iter().map(Attempt::line).collect();
    let mut cmd = redis::cmd("XADD");
    cmd.arg(&*stream).arg("*").arg("b").arg(lines.join("\n"));
    let entry: String = redis.run("log", &cmd).await?;
    let answers = vec![(); attempts.len()];
    log.keep(Answered {
        stream,
        entry,
        attempts,
    });
    Ok(answers)
}
