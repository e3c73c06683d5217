//! A sale that this process serves: its catalogue, its view, its lanes and its background tasks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::domain::catalog::Catalog;
use crate::domain::error::BackendError;
use crate::domain::sale::{Sale, SaleId};
use crate::postgres::operations::{PAGE, Postgres};
use crate::recovery::restore::Restored;
use crate::recovery::settle_abandoned::{ATTEMPT_GRACE, CLAIM_GRACE, ENTRIES, Settler};
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;
use crate::selling::attempt_log::AttemptLog;
use crate::selling::cart_lanes::CartLanes;
use crate::selling::claim_lane::ClaimLane;
use crate::selling::context::Context;
use crate::selling::sale_merge::SaleMerge;
use crate::selling::sale_view::SaleView;
use crate::selling::view_reader::ViewReader;

/// How often a process settles what other processes left.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// How long after a sale is ready again its outcomes follow.
const OUTCOMES_AFTER: Duration = Duration::from_secs(3);

/// Between two tries to restore a sale.
const RESTORE_PAUSE: Duration = Duration::from_millis(200);

/// A sale in the memory of this process.
#[derive(Debug)]
pub struct ServedSale<R> {
    /// The sale.
    pub sale: Sale,
    /// The sale's id as attempts hold it.
    pub(crate) id: Arc<SaleId>,
    pub(crate) keys: Arc<SaleKeys>,
    /// Its items.
    pub catalog: Catalog,
    pub(crate) view: SaleView,
    pub(crate) carts: CartLanes<R>,
    pub(crate) claims: ClaimLane,
    merge: Arc<SaleMerge>,
    /// Notified when a script found that Redis does not hold the sale, or a part of it.
    lost: Notify,
    pub(crate) stop: CancellationToken,
}

impl<R: Redis> ServedSale<R> {
    /// Loads the catalogue and starts the background tasks.
    pub(crate) async fn start<P: Postgres>(
        sale: Sale,
        context: &Arc<Context<R, P>>,
        log: &Arc<AttemptLog>,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, BackendError> {
        let format = context.newest_format.of(&sale)?;
        let catalog = read_catalog(&*context.postgres, &sale).await?;
        let reader = context.redis.stream_reader().await?;
        let keys = Arc::new(SaleKeys::new(&sale.id, format));
        let merge = Arc::<SaleMerge>::default();
        let served = Arc::new(Self {
            id: Arc::new(sale.id.clone()),
            view: SaleView::new(sale.items),
            carts: CartLanes::start(&sale, format, context, log, &stop),
            claims: ClaimLane::start(&sale.id, &keys, &merge, context, &stop),
            merge,
            catalog,
            keys,
            sale,
            lost: Notify::new(),
            stop,
        });
        let tasks = &context.tasks;
        let (this, shared) = (served.clone(), context.clone());
        tasks.spawn(async move { this.restore_when_lost(&shared).await });
        let (this, shared) = (served.clone(), context.clone());
        tasks.spawn(async move { this.merge.run(&shared, &this.sale, &this.stop).await });
        let (this, shared) = (served.clone(), context.clone());
        tasks.spawn(async move { this.read_view(reader, &shared).await });
        let (this, settler) = (served.clone(), context.settler());
        tasks.spawn(async move { this.settle(&settler).await });
        Ok(served)
    }

    /// Whether the item is sold, as far as this process has read.
    pub fn is_sold(&self, idx: u32) -> bool {
        self.view.is_sold(idx)
    }

    /// How many items are sold, as far as this process has read.
    pub fn sold_count(&self) -> u32 {
        self.view.sold_count()
    }

    /// How many items the user has bought, as far as this process has read.
    pub fn bought(&self, user: &str) -> u32 {
        self.view.bought(user)
    }

    /// Reacts to the error of a script: a sale that Redis lost is restored at once, not at the next
    /// check.
    pub(crate) fn note(&self, error: &BackendError) {
        if matches!(error, BackendError::Unseeded) {
            self.lost.notify_one();
        }
    }

    async fn restore_when_lost<P: Postgres>(&self, context: &Arc<Context<R, P>>) {
        loop {
            tokio::select! {
                () = self.lost.notified() => restore(context, &self.sale).await,
                () = self.stop.cancelled() => return,
            }
            // Another process may be at it, or a backend away.
            tokio::time::sleep(RESTORE_PAUSE).await;
        }
    }

    async fn read_view<P: Postgres>(&self, reader: R, context: &Arc<Context<R, P>>) {
        let reader = ViewReader {
            redis: reader,
            keys: &self.keys,
            view: &self.view,
            metrics: &context.metrics,
            clock: &context.clock,
        };
        let lost = || restore(context, &self.sale);
        reader.run(&self.stop, lost).await;
    }

    async fn settle<P: Postgres>(&self, settler: &Settler<R, P>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(SETTLE_EVERY) => {}
                () = self.stop.cancelled() => return,
            }
            if let Err(error) = self.settle_once(settler).await {
                tracing::debug!(sale = %self.sale.id, error = %error, "settling put off");
            }
        }
    }

    async fn settle_once<P: Postgres>(&self, settler: &Settler<R, P>) -> Result<(), BackendError> {
        // A step that returns less than a full page has taken all there was; what has come since
        // waits for the next turn. Without that, a settler would chase every single event.
        // The slot of the sale and those of its carts may be on different nodes: one that is away
        // keeps nothing of the others from being settled.
        let claims = async {
            while settler.settle_claims(&self.sale, CLAIM_GRACE).await? >= ENTRIES {}
            Ok::<_, BackendError>(())
        };
        let attempts = async {
            while settler.settle_attempts(&self.sale, ATTEMPT_GRACE).await? > 0 {}
            Ok::<_, BackendError>(())
        };
        claims.await.and(attempts.await)
    }
}

/// Reads the whole catalogue of a sale.
async fn read_catalog(postgres: &impl Postgres, sale: &Sale) -> Result<Catalog, BackendError> {
    let mut items = Vec::new();
    loop {
        let page = postgres.read_items(&sale.id, items.len() as u32).await?;
        let is_last = page.len() < PAGE;
        items.extend(page);
        if is_last {
            break;
        }
    }
    if items.len() != sale.items as usize {
        return Err(BackendError::unexpected(
            "catalogue",
            "as many items as the sale has",
            items.len(),
        ));
    }
    Catalog::from_items(items)
        .map_err(|error| BackendError::unexpected("items", "a whole catalogue", error.to_string()))
}

/// Restores a sale that Redis lost, unless another process is at it. Outcomes follow in the
/// background: the sale view and the carts come first.
pub(crate) async fn restore<R: Redis, P: Postgres>(context: &Arc<Context<R, P>>, sale: &Sale) {
    let restorer = context.restorer();
    let restored = restorer.restore_under_lease(&*context.postgres, sale);
    match restored.await {
        Ok(Restored::Nothing | Restored::Partitions) => {}
        Ok(Restored::Sale) => {
            let (context, sale) = (context.clone(), sale.clone());
            let tasks = context.tasks.clone();
            tasks.spawn(async move { restore_outcomes(&context, &sale).await });
        }
        Err(error) => tracing::warn!(sale = %sale.id, %error, "restoring put off"),
    }
}

async fn restore_outcomes<R: Redis, P: Postgres>(context: &Context<R, P>, sale: &Sale) {
    tokio::time::sleep(OUTCOMES_AFTER).await;
    let restorer = context.restorer();
    match restorer.restore_outcomes(&*context.postgres, sale).await {
        Ok(()) => tracing::info!(sale = %sale.id, "outcomes restored"),
        Err(error) => tracing::warn!(sale = %sale.id, %error, "outcomes not restored"),
    }
}
