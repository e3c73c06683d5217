//! Attempts that touch no cart: refused from memory, or while no sale is active.
//!
//! Guarantees: such an attempt, too, is in a stream before it is answered. All of them share one
//! lane, so that a refusal costs a fraction of a round trip. A node that is away or hangs costs no
//! refusal, and delays one batch by [`NEXT_STREAM_AFTER`]: another stream takes them.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

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
    pause: Duration::ZERO,
};

/// How long the first stream has to take an entry before the next one is tried beside it, which has
/// twice as long. Longer than a healthy node takes.
const NEXT_STREAM_AFTER: Duration = Duration::from_millis(25);

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
        let streams = Arc::new(RefusalStreams {
            streams: keys::refusals(flash_sale).map(Arc::from),
            preferred: AtomicUsize::new(0),
        });
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
    streams: &RefusalStreams,
    attempts: Vec<Attempt>,
) -> Result<Vec<()>, BackendError> {
    // No sale fixes the format of this stream, so each entry has its version.
    let format = context.newest_format;
    let (version, text) = (
        format.version().to_string(),
        format.encode_refused(attempts.iter()),
    );
    let fields = [("v", version.as_str()), ("b", text.as_str())];
    let append = |stream: Arc<str>| async move {
        let entry = streams::append(&context.redis, &stream, &fields).await?;
        Ok((stream, entry))
    };
    let (stream, entry) = streams.append_to_first(append).await?;
    let answers = vec![(); attempts.len()];
    log.keep(Answered {
        stream,
        entry,
        attempts,
        _call: None,
    });
    Ok(answers)
}

/// The streams of a FlashSale's refusals, on different nodes.
#[derive(Debug)]
struct RefusalStreams {
    streams: [Arc<str>; 8],
    /// The one that took the last entry.
    preferred: AtomicUsize,
}

impl RefusalStreams {
    /// Appends to the first stream that takes the entry, the one that took the last entry before the
    /// others. An attempt that is in two streams is logged once, because it has one id.
    async fn append_to_first<F, Fut, T>(&self, append: F) -> Result<T, BackendError>
    where
        F: Fn(Arc<str>) -> Fut,
        Fut: Future<Output = Result<T, BackendError>>,
    {
        let first = self.preferred.load(Ordering::Relaxed);
        let count = self.streams.len();
        let numbers = (0..count).map(|n| (first + n) % count);
        let mut untried = numbers.map(|number| {
            let appended = append(self.streams[number].clone());
            async move { (number, appended.await) }
        });
        let mut tried: FuturesUnordered<_> = untried.next().into_iter().collect();
        let mut first_error = None;
        let mut limit = NEXT_STREAM_AFTER;
        loop {
            let next = tokio::time::timeout(limit, tried.next());
            match next.await {
                Ok(Some((number, Ok(taken)))) => {
                    self.preferred.store(number, Ordering::Relaxed);
                    return Ok(taken);
                }
                Ok(Some((_, Err(error)))) => {
                    first_error.get_or_insert(error);
                }
                // There is a stream, so there is an error.
                Ok(None) => return Err(first_error.unwrap_or(BackendError::Unseeded)),
                Err(_) => limit *= 2,
            }
            tried.extend(untried.next());
        }
    }
}
