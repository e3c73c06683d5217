//! Keeps the carts of one partition whole: restores them as soon as a call finds that another master
//! than before holds the partition, and checks now and then, so that a sale does not open with
//! partitions that refuse.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::domain::error::BackendError;
use crate::domain::sale::Sale;
use crate::postgres::operations::Postgres;
use crate::recovery::restore_carts::{CartPartition, CartsState, RestoreLimits};
use crate::redis::commands::Redis;
use crate::redis::keys::PartitionKeys;
use crate::selling::context::Context;

/// How often the carts are checked where no call finds anything.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// When the next try follows while another process restores them, or has not settled yet.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// When the next try follows after an error.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// The background task of one partition.
#[derive(Debug)]
pub(crate) struct CartRestoration<R, P> {
    pub sale: Arc<Sale>,
    pub number: u16,
    pub keys: Arc<PartitionKeys>,
    /// Notified when a call finds that the carts may not be whole.
    pub promoted: Arc<Notify>,
    pub context: Arc<Context<R, P>>,
}

impl<R: Redis, P: Postgres> CartRestoration<R, P> {
    /// Runs until it is stopped.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            let try_again = self.restore().await;
            let pause = async {
                match try_again {
                    // Calls that find the same meanwhile change nothing.
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => tokio::select! {
                        () = tokio::time::sleep(CHECK_EVERY) => {}
                        () = self.promoted.notified() => {}
                    },
                }
            };
            tokio::select! {
                () = pause => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Restores the carts where they may not be whole. Returns when to try again, where they still
    /// are not.
    async fn restore(&self) -> Option<Duration> {
        let Context {
            postgres,
            steady_since,
            restorations,
            ..
        } = &*self.context;
        let partition = CartPartition {
            sale: &self.sale,
            number: self.number,
            keys: &self.keys,
        };
        let limits = RestoreLimits {
            at_once: restorations,
            steady_since_us: steady_since.us(),
        };
        let restorer = self.context.restorer();
        let (sale, number) = (&self.sale.id, self.number);
        match restorer
            .restore_carts(&**postgres, &partition, &limits)
            .await
        {
            Ok(CartsState::Whole) => None,
            Ok(CartsState::Restored { changed }) => {
                tracing::warn!(%sale, partition = number, changed, "carts restored");
                None
            }
            Ok(CartsState::NotYet) => Some(TRY_AGAIN_AFTER),
            // The sale is restored first, or was retired.
            Err(BackendError::Unseeded) => None,
            Err(error) => {
                tracing::debug!(%sale, partition = number, %error, "carts not checked");
                Some(RETRY_AFTER)
            }
        }
    }
}
