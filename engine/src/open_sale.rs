//! A sale that this process serves: its catalogue, its view and its lanes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempts::AttemptLog;
use crate::carts::CartLanes;
use crate::catalog::Catalog;
use crate::claims::ClaimLane;
use crate::error::StoreError;
use crate::feed::{Feed, View};
use crate::keys;
use crate::postgres::Database;
use crate::redis_cluster::RedisCluster;
use crate::restore;
use crate::sale::Sale;
use crate::sales::{self, SaleRecord};
use crate::settle::{ENTRIES, GRACE, Settler};

/// How often a process looks for what other processes left.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// Between two tries to rebuild a sale.
const REBUILD_PAUSE: Duration = Duration::from_millis(200);

/// How long one process has to rebuild a sale before another one tries.
const REBUILD_LEASE: Duration = Duration::from_secs(10);

/// A sale, ready to be sold from.
#[derive(Debug)]
pub struct OpenSale {
    /// What it is.
    pub sale: Sale,
    /// The sale's id as the log of attempts holds it.
    pub id_text: Arc<str>,
    /// Its items.
    pub catalog: Catalog,
    /// What is known to be sold.
    pub view: View,
    /// Where carts are.
    pub carts: CartLanes,
    /// Where claims are decided.
    pub claims: ClaimLane,
    /// Told when a script found that Redis does not hold the sale, or a part of it.
    lost: Notify,
    pub(crate) stop: CancellationToken,
}

/// What a sale is served with.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    pub db: Arc<Database>,
    pub redis: RedisCluster,
    pub log: Arc<AttemptLog>,
    pub tasks: TaskTracker,
}

impl OpenSale {
    /// Loads the catalogue and starts following the sale.
    pub(crate) async fn start(
        sale: Sale,
        means: &Means,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, StoreError> {
        let catalog = sales::catalog(&means.db, &sale.id).await?;
        if catalog.len() != sale.items as usize {
            return Err(StoreError::unexpected(
                "catalogue",
                "as many items as the sale has",
                catalog.len(),
            ));
        }
        let feed_redis = means.redis.dedicated().await?;
        let Means {
            redis, log, tasks, ..
        } = means;
        let open = Arc::new(Self {
            id_text: sale.id.as_str().into(),
            view: View::new(sale.items),
            carts: CartLanes::start(&sale, redis, log, tasks, &stop),
            claims: ClaimLane::start(&sale.id, redis, tasks, &stop),
            catalog,
            sale,
            lost: Notify::new(),
            stop,
        });
        let (keeping, stores) = (open.clone(), means.clone());
        tasks.spawn(async move { keeping.keep_whole(&stores).await });
        let (following, lost) = (open.clone(), means.clone());
        tasks.spawn(async move {
            let feed = Feed {
                redis: feed_redis,
                sale: &following.sale,
                view: &following.view,
            };
            let rebuild = || rebuild(&lost, &following.sale);
            feed.run(&following.stop, rebuild).await;
        });
        let (settling, settler) = (
            open.clone(),
            Settler::new(means.db.clone(), means.redis.clone()),
        );
        tasks.spawn(async move { settling.settle(&settler).await });
        Ok(open)
    }

    /// Takes note of what a script said: a sale that Redis lost is rebuilt at once, not when
    /// somebody looks.
    pub(crate) fn note(&self, error: &StoreError) {
        if matches!(error, StoreError::Unseeded) {
            self.lost.notify_one();
        }
    }

    async fn keep_whole(&self, means: &Means) {
        loop {
            tokio::select! {
                () = self.lost.notified() => rebuild(means, &self.sale).await,
                () = self.stop.cancelled() => return,
            }
            // Another process may be at it, or a store away.
            tokio::time::sleep(REBUILD_PAUSE).await;
        }
    }

    async fn settle(&self, settler: &Settler) {
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

    async fn settle_once(&self, settler: &Settler) -> Result<(), StoreError> {
        // A step that came back less than full has seen all there was; what has come since can
        // wait for the next look. Without that, a settler would chase every single event.
        while settler.claims(&self.sale.id, GRACE).await? >= ENTRIES {}
        while settler.attempts(&self.sale, GRACE).await? > 0 {}
        Ok(())
    }
}

/// Rebuilds a sale that Redis lost, unless another process is at it.
pub(crate) async fn rebuild(means: &Means, sale: &Sale) {
    match try_rebuild(means, sale).await {
        Ok(true) => tracing::warn!(sale = %sale.id, "Redis had lost the sale: rebuilt it"),
        Ok(false) => {}
        Err(error) => tracing::warn!(sale = %sale.id, error = %error, "rebuild put off"),
    }
}

async fn try_rebuild(means: &Means, sale: &Sale) -> Result<bool, StoreError> {
    let lease_key = keys::rebuild_lease(&sale.id);
    let mut lease = redis::cmd("SET");
    lease
        .arg(&lease_key)
        .arg("1")
        .arg("NX")
        .arg("PX")
        .arg(REBUILD_LEASE.as_millis() as u64);
    let mine: Option<String> = means.redis.run("restore", &lease).await?;
    if mine.is_none() {
        return Ok(false);
    }
    let done = rebuild_under_lease(means, sale).await;
    let mut end = redis::cmd("UNLINK");
    end.arg(&lease_key);
    means.redis.run::<i64>("restore", &end).await?;
    done
}

async fn rebuild_under_lease(means: &Means, sale: &Sale) -> Result<bool, StoreError> {
    let record = sales::one(&means.db, &sale.id).await?;
    // A sale that is closed or withdrawn is the operator's: its keys are gone on purpose.
    let to_be_sold = |record: &SaleRecord| record.seeded_at.is_some() && record.closed_at.is_none();
    let Some(record) = record.filter(to_be_sold) else {
        return Ok(false);
    };
    restore::restore(&means.db, &means.redis, &record).await?;
    Ok(true)
}
