//! What an API process serves: the sales of one FlashSale.
//!
//! Promises: follows the registry, so that a sale which was seeded opens and closes by the
//! clock while the operator is down (invariant 9); what it answers is in the stores first.

use std::collections::HashSet;
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
use crate::keys;
use crate::metrics::Metrics;
use crate::open_sale::{Means, OpenSale, rebuild};
use crate::postgres::Database;
use crate::redis_cluster::RedisCluster;
use crate::refusals::RefusalLane;
use crate::sale::{FlashSaleName, Sale, SaleId};
use crate::sales;
use crate::settle::{GRACE, Settler};

/// How often the registry is read.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// How often Postgres is asked for sales that the registry lost.
const COMPARE_EVERY: Duration = Duration::from_secs(5);

/// How long before its start a sale has to be loaded for the process to be ready.
const READY_BEFORE_START: SignedDuration = SignedDuration::from_secs(10);

/// How long after its end a sale is kept in memory, for those who ask what they got.
const KEEP_AFTER_END: SignedDuration = SignedDuration::from_mins(10);

/// Sales of a FlashSale that are looked at in Postgres.
const RECENT_SALES: u32 = 10;

/// How often the stores are asked whether they are fit.
const FITNESS_EVERY: Duration = Duration::from_secs(10);

/// The log target of what a shop keeper would want to know.
const BUSINESS: &str = "flashsale::business";

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
    sales: ArcSwap<Vec<Arc<OpenSale>>>,
    followed: AtomicBool,
    /// Sales of the registry whose catalogue could not be loaded yet.
    missing: ArcSwap<Vec<Sale>>,
    fault: ArcSwap<Option<String>>,
    following: CancellationToken,
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

    async fn registered(&self) -> Result<Vec<Sale>, StoreError> {
        let mut cmd = redis::cmd("HVALS");
        cmd.arg(keys::registry(&self.flash_sale));
        let texts: Vec<String> = self.means.redis.run("registry", &cmd).await?;
        let parse = |text: &String| {
            let sale = serde_json::from_str(text);
            // One entry of a later version must not hide the sales beside it.
            sale.inspect_err(|error| tracing::error!(entry = text, %error, "registry: no sale"))
                .ok()
        };
        Ok(texts.iter().filter_map(parse).collect())
    }

    /// Sales that Postgres says are to be sold: the truth, when the registry lost them.
    async fn unfinished(&self) -> Result<Vec<Sale>, StoreError> {
        let now = Timestamp::now();
        let records = sales::of_flash_sale(&self.means.db, &self.flash_sale, RECENT_SALES).await?;
        let unfinished = records
            .into_iter()
            .filter(|r| r.seeded_at.is_some() && r.closed_at.is_none())
            .filter(|r| now < r.sale.window.ends_at);
        Ok(unfinished.map(|record| record.sale).collect())
    }

    async fn open_all(&self, wanted: Vec<Sale>) {
        let mut missing = Vec::new();
        for sale in wanted {
            let over = sale.window.ends_at.saturating_add(KEEP_AFTER_END);
            if self.known(&sale.id).is_some() || over.is_ok_and(|over| over < Timestamp::now()) {
                continue;
            }
            let id = sale.id.clone();
            match OpenSale::start(sale.clone(), &self.means, CancellationToken::new()).await {
                Ok(open) => {
                    tracing::info!(sale = %id, starts_at = %open.sale.window.starts_at,
                        items = open.sale.items, "sale loaded");
                    let mut sales = self.sales.load().to_vec();
                    sales.push(open);
                    self.sales.store(Arc::new(sales));
                }
                Err(error) => {
                    tracing::warn!(sale = %id, error = %error, "sale not loaded yet");
                    missing.push(sale);
                }
            }
        }
        self.missing.store(Arc::new(missing));
    }

    /// Stops serving sales that are long over, that were retired, or that were withdrawn before
    /// they began. Whoever asks for them is answered from Postgres.
    fn drop_gone(&self, registered: &HashSet<SaleId>, unfinished: Option<&[Sale]>) {
        let now = Timestamp::now();
        let gone = |open: &Arc<OpenSale>| {
            let (id, window) = (&open.sale.id, open.sale.window);
            let over = window.ends_at.saturating_add(KEEP_AFTER_END);
            let retired = window.ends_at <= now && !registered.contains(id);
            let withdrawn = now < window.starts_at
                && !registered.contains(id)
                && unfinished.is_some_and(|sales| sales.iter().all(|sale| sale.id != *id));
            retired || withdrawn || over.is_ok_and(|over| over < now)
        };
        let (gone, kept): (Vec<_>, Vec<_>) = self.sales.load().iter().cloned().partition(gone);
        if gone.is_empty() {
            return;
        }
        for open in gone {
            tracing::info!(sale = %open.sale.id, "sale no longer served from memory");
            open.stop.cancel();
        }
        self.sales.store(Arc::new(kept));
    }

    /// One look at the registry, and now and then at Postgres, which has what it lost.
    async fn follow_once(&self, compare: bool) -> Result<(), StoreError> {
        let mut wanted = self.registered().await?;
        let registered: HashSet<SaleId> = wanted.iter().map(|sale| sale.id.clone()).collect();
        let unfinished = match compare {
            // The registry alone serves while Postgres is away.
            true => self.unfinished().await.ok(),
            false => None,
        };
        for sale in unfinished.iter().flatten() {
            if !registered.contains(&sale.id) {
                rebuild(&self.means, sale).await;
                wanted.push(sale.clone());
            }
        }
        if unfinished.is_none() {
            // What only Postgres knew of is not gone because it was not asked.
            let missing = self.missing.load();
            let unlisted = missing.iter().filter(|sale| !registered.contains(&sale.id));
            wanted.extend(unlisted.cloned());
        }
        self.open_all(wanted).await;
        self.drop_gone(&registered, unfinished.as_deref());
        if unfinished.is_some() || !registered.is_empty() {
            self.followed.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The time that a sign of life took, or what was wrong.
pub type Pinged = Result<Duration, StoreError>;

async fn follow(shop: Arc<Shop>) {
    let mut compared: Option<Instant> = None;
    let mut selling: Option<Arc<OpenSale>> = None;
    loop {
        let compare = compared.is_none_or(|at| at.elapsed() >= COMPARE_EVERY);
        if compare {
            compared = Some(Instant::now());
        }
        if let Err(error) = shop.follow_once(compare).await {
            tracing::warn!(error = %error, "registry not read");
        }
        let active = shop.active();
        announce(selling.as_deref(), active.as_deref());
        selling = active;
        tokio::select! {
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
            () = shop.following.cancelled() => return,
        }
    }
}

/// Logs what this process sees of the sales' windows.
fn announce(before: Option<&OpenSale>, now: Option<&OpenSale>) {
    if before.map(|open| &open.sale.id) == now.map(|open| &open.sale.id) {
        return;
    }
    if let Some(open) = before {
        let (sale, sold) = (&open.sale.id, open.view.sold_count());
        tracing::info!(target: BUSINESS, event = "sale_closed", %sale, sold, "sale closed");
    }
    if let Some(open) = now {
        let (sale, items) = (&open.sale.id, open.sale.items);
        tracing::info!(target: BUSINESS, event = "sale_opened", %sale, items, "sale opened");
    }
}

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
