//! Lanes of look-ups in Postgres: codes that a crowd asks for at once share a statement.
//!
//! Guarantees: however many purchases ask, one look-up of a lane runs at a time, over one connection;
//! what comes beyond the queue fails at once; nobody waits longer than [`LONGEST_WAIT`].

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::code::CheckoutCode;
use crate::domain::error::{BackendError, SharedError};
use crate::domain::outcome::Outcome;
use crate::postgres::operations::Postgres;
use crate::redis::commands::Redis;
use crate::selling::context::Context;
use crate::selling::lane::{Lane, LaneLimits};

/// All purchases that wait for a Redis node that hangs fail together, and everybody with an open cart
/// may ask as soon as a sale ends: at 10,000 calls a second they are some thousands.
const LANE_LIMITS: LaneLimits = LaneLimits {
    batch: 256,
    queue: 4_096,
    // A statement costs some 0.3 ms of Postgres' CPU time, whether it asks for one code or for ten.
    pause: Duration::from_millis(10),
};

/// How long a caller waits for the look-ups before its own, and for its own.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What a look-up found of each code of a batch: an error where the server cannot tell.
pub(crate) type FoundOfCodes<A> = Result<Vec<Result<A, BackendError>>, BackendError>;

/// A lane of look-ups of one kind.
#[derive(Debug)]
pub(crate) struct CodeLane<A> {
    lane: Lane<CheckoutCode, Result<A, BackendError>>,
}

impl<A: Send + 'static> CodeLane<A> {
    /// Starts a lane. `find` gets the codes of a batch and answers each, in the same order.
    pub(crate) fn start<R: Redis, P: Postgres, F, Fut>(
        name: &'static str,
        context: &Arc<Context<R, P>>,
        stop: &CancellationToken,
        find: F,
    ) -> Self
    where
        F: Fn(Arc<P>, Vec<CheckoutCode>) -> Fut + Send + 'static,
        Fut: Future<Output = FoundOfCodes<A>> + Send,
    {
        let lookups = context.lookups.clone();
        let call = move |codes| find(lookups.clone(), codes);
        let lane = Lane::start(name, LANE_LIMITS, &context.tasks, stop, call);
        Self { lane }
    }

    /// What Postgres has of a code.
    pub(crate) async fn find(&self, code: &CheckoutCode) -> Result<A, SharedError> {
        let answer = tokio::time::timeout(LONGEST_WAIT, self.lane.ask(code.clone())).await;
        let timed_out = |_| BackendError::TimedOut {
            backend: "Postgres",
            operation: "read_order",
            after: LONGEST_WAIT,
        };
        Ok(answer.map_err(timed_out)???)
    }
}

/// The outcomes of codes; none for a code without an order.
pub(crate) async fn find_orders<P: Postgres>(
    postgres: Arc<P>,
    codes: Vec<CheckoutCode>,
) -> FoundOfCodes<Option<Outcome>> {
    let found = postgres.read_outcomes(&codes).await?;
    Ok(codes.iter().map(|code| found.of(code)).collect())
}
