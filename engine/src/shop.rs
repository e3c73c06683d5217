//! What an API process serves: the sales of one FlashSale.
//!
//! Promises: follows the registry, so that a sale which was seeded opens and closes by the
//! clock while the operator is down (invariant 9); what it answers is in the stores first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempts::AttemptLog;
use crate::committer::Committer;
use crate::error::StoreError;
use crate::follow::follow;
use crate::metrics::Metrics;
use crate::open_sale::{Means, OpenSale};
use crate::postgres::Database;
use crate::redis_cluster::RedisCluster;
use crate::refusals::RefusalLane;
use crate::sale::{FlashSaleName, Sale, SaleId};
use crate::settle::{GRACE, Settler};

/// How long before its start a sale has to be loaded for the process to be ready.
const READY_BEFORE_START: SignedDuration = SignedDuration::from_secs(10);

/// How often the stores are asked whether they are fit.
const FITNESS_EVERY: Duration = Duration::from_secs(10);

/// What a process needs to serve a FlashSale.
#[derive(Debug, Clone)]
pub struct ShopConfig {
    /// Whose sales.
    pub flash_sale: FlashSaleName,
    /// Nodes of the Redis Cluster, comma separated.
    pub redis_url: String,
    /// The database.
    pub postgres_url: String,
    /// Connections to Postgres at the most.
    pub postgres_connections: u32,
    /// Answered attempts that may wait for Postgres.
    pub attempts_backlog: usize,
}

/// A running shop.
#[derive(Debug)]
pub struct Shop {
    pub(crate) flash_sale: FlashSaleName,
    pub(crate) means: Means,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) committer: Committer,
    pub(crate) refusals: RefusalLane,
    /// Connections for those who only look: a crowd of them must not keep purchases waiting.
    pub(crate) lookups: Arc<Database>,
    pub(crate) sales: ArcSwap<Vec<Arc<OpenSale>>>,
    pub(crate) followed: AtomicBool,
    /// Sales of the registry whose catalogue could not be loaded yet.
    pub(crate) missing: ArcSwap<Vec<Sale>>,
    fault: ArcSwap<Option<String>>,
    pub(crate) following: CancellationToken,
    serving: CancellationToken,
}

impl Shop {
    /// Connects, loads the scripts and starts following.
    pub async fn start(
        config: &ShopConfig,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, StoreError> {
        let for_lookups = (config.postgres_connections / 4).max(1);
        let for_commits = config
            .postgres_connections
            .saturating_sub(for_lookups)
            .max(1);
        let url = &config.postgres_url;
        let db = Arc::new(Database::connect(url, for_commits, metrics.clone()).await?);
        let lookups = Arc::new(Database::connect(url, for_lookups, metrics.clone()).await?);
        let redis = RedisCluster::connect(&config.redis_url, metrics.clone()).await?;
        redis.load_scripts().await?;
        let tasks = TaskTracker::new();
        let following = CancellationToken::new();
        let serving = CancellationToken::new();
        let log = AttemptLog::start(
            db.clone(),
            redis.clone(),
            config.attempts_backlog,
            &tasks,
            &serving,
        );
        let shop = Arc::new(Self {
            flash_sale: config.flash_sale.clone(),
            committer: Committer::start(db.clone(), redis.clone(), &tasks, &serving),
            refusals: RefusalLane::start(&config.flash_sale, &redis, &log, &tasks, &serving),
            means: Means {
                db,
                redis,
                log,
                tasks: tasks.clone(),
            },
            metrics,
            lookups,
            sales: ArcSwap::from_pointee(Vec::new()),
            followed: AtomicBool::new(false),
            missing: ArcSwap::from_pointee(Vec::new()),
            fault: ArcSwap::from_pointee(None),
            following,
            serving,
        });
        tasks.spawn(follow(shop.clone()));
        tasks.spawn(settle_refusals(shop.clone()));
        tasks.spawn(watch_fitness(shop.clone()));
        Ok(shop)
    }

    /// Ends the shop: what was claimed is committed, what was answered is settled. Call it
    /// when no request is on its way any more. Answers whether all was done within `limit`.
    pub async fn stop(&self, limit: Duration) -> bool {
        self.following.cancel();
        for open in self.sales.load().iter() {
            open.stop.cancel();
        }
        self.serving.cancel();
        self.means.tasks.close();
        tokio::time::timeout(limit, self.means.tasks.wait())
            .await
            .is_ok()
    }

    /// The sale that is selling at this moment.
    pub fn active(&self) -> Option<Arc<OpenSale>> {
        let now = Timestamp::now();
        let sales = self.sales.load();
        sales
            .iter()
            .find(|open| open.sale.window.contains(now))
            .cloned()
    }

    /// The same for whoever refuses where there is none: the error says that this process does
    /// not know yet.
    pub fn selling(&self) -> Result<Option<Arc<OpenSale>>, StoreError> {
        let now = Timestamp::now();
        let missing = |sale: &Sale| sale.window.contains(now);
        match self.active() {
            Some(open) => Ok(Some(open)),
            None if !self.followed.load(Ordering::Relaxed) => Err(StoreError::NotLoaded),
            None if self.missing.load().iter().any(missing) => Err(StoreError::NotLoaded),
            None => Ok(None),
        }
    }

    /// Whether this process does not have the sale in memory, but may have it soon.
    pub(crate) fn is_to_be_loaded(&self, id: &SaleId) -> bool {
        !self.followed.load(Ordering::Relaxed)
            || self.missing.load().iter().any(|sale| sale.id == *id)
    }

    /// A sale that this process has in memory.
    pub fn known(&self, id: &SaleId) -> Option<Arc<OpenSale>> {
        let sales = self.sales.load();
        sales.iter().find(|open| open.sale.id == *id).cloned()
    }

    /// The next sale to come.
    pub fn next(&self) -> Option<Arc<OpenSale>> {
        let now = Timestamp::now();
        let sales = self.sales.load();
        let to_come = sales.iter().filter(|open| now < open.sale.window.starts_at);
        to_come
            .min_by_key(|open| open.sale.window.starts_at)
            .cloned()
    }

    /// Why this process should get no requests; none when it should.
    pub fn not_ready(&self) -> Option<String> {
        if !self.followed.load(Ordering::Relaxed) {
            return Some("the registry of sales has not been read yet".to_owned());
        }
        // A sale that is to come must not take a process out of one that is selling.
        let now = Timestamp::now();
        let soon = match self.active() {
            Some(_) => now,
            None => now.saturating_add(READY_BEFORE_START).unwrap_or(now),
        };
        let due = |sale: &Sale| sale.window.starts_at <= soon && now < sale.window.ends_at;
        if let Some(sale) = self.missing.load().iter().find(|sale| due(sale)) {
            return Some(format!("the catalogue of {} is not loaded yet", sale.id));
        }
        let behind = |open: &&Arc<OpenSale>| due(&open.sale) && !open.view.is_caught_up();
        if let Some(open) = self.sales.load().iter().find(behind) {
            let id = &open.sale.id;
            return Some(format!("the feed of {id} has not caught up yet"));
        }
        self.fault.load().as_ref().clone()
    }

    /// Asks both stores for a sign of life; the time each took, or what was wrong.
    pub async fn ping(&self) -> (Pinged, Pinged) {
        let redis = async {
            let started = Instant::now();
            self.means.redis.ping().await.map(|()| started.elapsed())
        };
        let postgres = async {
            let started = Instant::now();
            self.lookups.ping().await.map(|()| started.elapsed())
        };
        tokio::join!(redis, postgres)
    }

    /// The process's metrics, with its gauges brought up to date.
    pub fn metrics(&self) -> &Metrics {
        let (commits, lookups) = (self.means.db.connections(), self.lookups.connections());
        self.metrics.db_active.set(commits.0 + lookups.0);
        self.metrics.db_idle.set(commits.1 + lookups.1);
        let active = self.active();
        let (items, sold) = active.map_or((0, 0), |open| (open.sale.items, open.view.sold_count()));
        self.metrics.sale_items_total.set(i64::from(items));
        self.metrics.sale_items_sold.set(i64::from(sold));
        &self.metrics
    }

    /// The FlashSale whose sales these are.
    pub fn flash_sale(&self) -> &FlashSaleName {
        &self.flash_sale
    }
}

/// The time that a sign of life took, or what was wrong.
pub type Pinged = Result<Duration, StoreError>;

/// Refusals while no sale is active have no sale whose settler would find them.
async fn settle_refusals(shop: Arc<Shop>) {
    let settler = Settler::new(shop.means.db.clone(), shop.means.redis.clone());
    loop {
        tokio::select! {
            () = tokio::time::sleep(GRACE) => {}
            () = shop.following.cancelled() => return,
        }
        if let Err(error) = settler.refusals(&shop.flash_sale, GRACE).await {
            tracing::debug!(error = %error, "settling refusals put off");
        }
    }
}

async fn watch_fitness(shop: Arc<Shop>) {
    loop {
        match shop.means.redis.eviction_fault().await {
            Ok(fault) => {
                if let Some(fault) = &fault {
                    tracing::error!(fault, "Redis is not fit for a sale");
                }
                shop.fault.store(Arc::new(fault));
            }
            Err(error) => tracing::debug!(error = %error, "fitness of Redis not known"),
        }
        tokio::select! {
            () = tokio::time::sleep(FITNESS_EVERY) => {}
            () = shop.following.cancelled() => return,
        }
    }
}
