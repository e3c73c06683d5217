//! The selling service of one FlashSale in an API process.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::backend_urls::BackendUrls;
use crate::domain::clock::Clock;
use crate::domain::error::BackendError;
use crate::domain::random::Random;
use crate::domain::sale::{FlashSaleName, SaleId};
use crate::observability::Ambient;
use crate::observability::metrics::Metrics;
use crate::postgres::operations::Postgres;
use crate::postgres::pool::PostgresPool;
use crate::recovery::settle_abandoned::ATTEMPT_GRACE;
use crate::redis::cluster::RedisCluster;
use crate::redis::codec::Format;
use crate::redis::commands::{self, NodeState, Redis};
use crate::redis::scripts;
use crate::selling::attempt_log::AttemptLog;
use crate::selling::code_lookups::CodeLookups;
use crate::selling::context::Context;
use crate::selling::eviction_check::EvictionCheck;
use crate::selling::group_commit::GroupCommit;
use crate::selling::lookup_limit::LookupLimit;
use crate::selling::open_calls::OpenCalls;
use crate::selling::refusal_lane::RefusalLane;
use crate::selling::registry_follower::RegistryFollower;
use crate::selling::served_sale::ServedSale;
use crate::selling::served_sales::ServedSales;
use crate::selling::settings_check::SettingsCheck;
use crate::selling::settle_own_attempts::{SETTLE_LIMIT, spawn_settling};
use crate::selling::steady_since::SteadySince;
use crate::selling::watermark::WatermarkPublisher;

/// Cart partitions that a process restores at once: each reads much from Postgres.
const RESTORED_AT_ONCE: usize = 2;

/// What a process needs to serve a FlashSale.
#[derive(Debug, Clone)]
pub struct SellingOptions {
    /// Whose sales.
    pub flash_sale: FlashSaleName,
    /// Answered attempts that may wait for Postgres.
    pub attempts_backlog: usize,
}

/// The backends of a selling service.
#[derive(Debug)]
pub struct Backends<R, P> {
    /// Redis.
    pub redis: R,
    /// Postgres, for commits and settling.
    pub postgres: P,
    /// Postgres for reads alone: a crowd of readers must not delay purchases.
    pub lookups: P,
}

impl Backends<RedisCluster, PostgresPool> {
    /// Connects to a Redis Cluster, and to a Postgres database with so many connections at most.
    pub async fn connect(
        urls: &BackendUrls,
        postgres_connections: u32,
        ambient: &Ambient,
    ) -> Result<Self, BackendError> {
        let for_lookups = (postgres_connections / 4).max(1);
        let for_commits = postgres_connections.saturating_sub(for_lookups).max(1);
        let pool = |connections| {
            let (metrics, clock) = (ambient.metrics.clone(), ambient.clock.clone());
            let certificates = &urls.postgres_certificates;
            PostgresPool::connect(&urls.postgres, certificates, connections, metrics, clock)
        };
        let (postgres, lookups) = (pool(for_commits).await?, pool(for_lookups).await?);
        let (metrics, clock) = (ambient.metrics.clone(), ambient.clock.clone());
        let certificates = &urls.redis_certificates;
        Ok(Self {
            redis: RedisCluster::connect(&urls.redis, certificates, metrics, clock).await?,
            postgres,
            lookups,
        })
    }
}

/// The running service.
#[derive(Debug)]
pub struct SellingService<R, P> {
    pub(crate) flash_sale: FlashSaleName,
    pub(crate) context: Arc<Context<R, P>>,
    pub(crate) sales: Arc<ServedSales<R>>,
    pub(crate) log: Arc<AttemptLog>,
    pub(crate) commits: GroupCommit,
    pub(crate) refusals: RefusalLane,
    eviction: Arc<EvictionCheck>,
    settings: Arc<SettingsCheck>,
    pub(crate) code_lookups: CodeLookups,
    /// Of items that are not in the sale.
    pub(crate) item_lookups: LookupLimit,
    following: CancellationToken,
    serving: CancellationToken,
}

impl<R: Redis, P: Postgres> SellingService<R, P> {
    /// Loads the scripts and starts following the registry.
    pub async fn start(
        options: &SellingOptions,
        backends: Backends<R, P>,
        ambient: &Ambient,
    ) -> Result<Arc<Self>, BackendError> {
        Self::start_with_format(options, backends, ambient, Format::CURRENT).await
    }

    pub(crate) async fn start_with_format(
        options: &SellingOptions,
        backends: Backends<R, P>,
        ambient: &Ambient,
        newest_format: Format,
    ) -> Result<Arc<Self>, BackendError> {
        scripts::load_all(&backends.redis).await;
        let context = Arc::new(Context {
            redis: backends.redis,
            postgres: Arc::new(backends.postgres),
            lookups: Arc::new(backends.lookups),
            metrics: ambient.metrics.clone(),
            clock: ambient.clock.clone(),
            random: ambient.random.clone(),
            newest_format,
            open_calls: OpenCalls::new(&ambient.clock),
            steady_since: SteadySince::default(),
            restorations: Semaphore::new(RESTORED_AT_ONCE),
            tasks: TaskTracker::new(),
        });
        let watermark = WatermarkPublisher::start(&options.flash_sale, &context).await?;
        let serving = CancellationToken::new();
        let log = AttemptLog::new(&context, options.attempts_backlog, SETTLE_LIMIT);
        context.tasks.spawn(watermark.run(serving.clone()));
        spawn_settling(&options.flash_sale, &log, &context, &serving);
        let service = Arc::new(Self {
            flash_sale: options.flash_sale.clone(),
            sales: Arc::default(),
            commits: GroupCommit::start(&context, &serving),
            refusals: RefusalLane::start(&options.flash_sale, &context, &log, &serving),
            eviction: Arc::default(),
            settings: Arc::default(),
            code_lookups: CodeLookups::start(&context, &serving),
            item_lookups: LookupLimit::default(),
            following: CancellationToken::new(),
            log,
            context,
            serving,
        });
        service.spawn_background_tasks();
        Ok(service)
    }

    fn spawn_background_tasks(self: &Arc<Self>) {
        let tasks = &self.context.tasks;
        let follower = RegistryFollower {
            flash_sale: self.flash_sale.clone(),
            sales: self.sales.clone(),
            log: self.log.clone(),
            context: self.context.clone(),
            stop: self.following.clone(),
        };
        tasks.spawn(follower.run());
        let service = self.clone();
        tasks.spawn(async move { service.settle_refusals().await });
        let (check, redis) = (self.eviction.clone(), self.context.redis.clone());
        let stop = self.following.clone();
        tasks.spawn(async move { check.run(&redis, &stop).await });
        let (check, redis) = (self.settings.clone(), self.context.redis.clone());
        let stop = self.following.clone();
        tasks.spawn(async move { check.run(&redis, &stop).await });
    }

    /// Ends the service: what was claimed is committed, what was answered is settled. Call it when
    /// no request is on its way any more. Returns whether all was done within `limit`.
    pub async fn stop(&self, limit: Duration) -> bool {
        self.following.cancel();
        for served in self.sales.all().iter() {
            served.stop.cancel();
        }
        self.serving.cancel();
        let tasks = &self.context.tasks;
        tasks.close();
        tokio::time::timeout(limit, tasks.wait()).await.is_ok()
    }

    /// The sale that is active now.
    pub fn active(&self) -> Option<Arc<ServedSale<R>>> {
        self.sales.active(self.context.clock.now())
    }

    /// The same for a caller that refuses where there is none: an error while the process cannot
    /// know.
    pub fn selling(&self) -> Result<Option<Arc<ServedSale<R>>>, BackendError> {
        self.sales.selling(self.context.clock.now())
    }

    /// A sale that this process has in memory.
    pub fn known(&self, id: &SaleId) -> Option<Arc<ServedSale<R>>> {
        self.sales.get(id)
    }

    /// The next sale to come.
    pub fn next(&self) -> Option<Arc<ServedSale<R>>> {
        self.sales.next(self.context.clock.now())
    }

    /// Why this process should get no requests; none when it should. A Redis that may evict keys
    /// keeps a process from becoming ready, and takes no process out of a sale: without processes
    /// the sale would sell nothing at all.
    pub fn not_ready(&self) -> Option<String> {
        let unloaded = self.sales.not_ready(self.context.clock.now());
        unloaded.or_else(|| match self.active() {
            Some(_) => None,
            None => self.eviction.fault(),
        })
    }

    /// Asks both backends for a sign of life; the time each took, or what was wrong.
    pub async fn ping(&self) -> (RedisPing, Pinged) {
        let redis = self.ping_redis();
        let postgres = async {
            let timer = self.context.clock.start_timer();
            let answer = self.context.lookups.ping().await;
            answer.map(|()| timer.elapsed())
        };
        tokio::join!(redis, postgres)
    }

    async fn ping_redis(&self) -> RedisPing {
        let timer = self.context.clock.start_timer();
        let masters = commands::ping(&self.context.redis).await;
        let took = timer.elapsed();
        let failed = masters
            .iter()
            .filter_map(|master| master.answer.clone().err());
        let mut failed: Vec<BackendError> = failed.collect();
        let is_whole = failed.is_empty();
        RedisPing {
            answer: match failed.pop() {
                Some(error) if failed.len() + 1 == masters.len() => Err(error),
                _ => Ok(took),
            },
            is_whole,
            nodes: self.context.redis.nodes(),
            warnings: self.warnings(),
        }
    }

    /// Since when Postgres is away; none while it is up.
    pub fn postgres_away_since(&self) -> Option<Timestamp> {
        self.context.metrics.postgres.away_since()
    }

    /// Settings of Redis that should be changed.
    fn warnings(&self) -> Vec<String> {
        let settings = self.settings.warnings().into_iter();
        settings.chain(self.eviction.warning()).collect()
    }

    /// The process's metrics, with its gauges brought up to date.
    pub fn metrics(&self) -> &Metrics {
        let Context {
            metrics,
            postgres,
            lookups,
            ..
        } = &*self.context;
        let (commits, lookups) = (postgres.connections(), lookups.connections());
        metrics.db_active.set(commits.0 + lookups.0);
        metrics.db_idle.set(commits.1 + lookups.1);
        let active = self.active();
        let counts = |served: Arc<ServedSale<R>>| (served.sale.items, served.view.sold_count());
        let (items, sold) = active.map_or((0, 0), counts);
        metrics.sale_items_total.set(i64::from(items));
        metrics.sale_items_sold.set(i64::from(sold));
        metrics
    }

    /// The FlashSale whose sales the service sells.
    pub fn flash_sale(&self) -> &FlashSaleName {
        &self.flash_sale
    }

    /// The clock of this process.
    pub fn clock(&self) -> &Clock {
        &self.context.clock
    }

    /// The source of randomness of this process.
    pub fn random(&self) -> &Random {
        &self.context.random
    }

    /// Refusals while no sale is active have no sale whose settler would find them.
    async fn settle_refusals(&self) {
        let settler = self.context.settler();
        loop {
            tokio::select! {
                () = tokio::time::sleep(ATTEMPT_GRACE) => {}
                () = self.following.cancelled() => return,
            }
            if let Err(error) = settler
                .settle_refusals(&self.flash_sale, ATTEMPT_GRACE)
                .await
            {
                tracing::debug!(error = %error, "settling refusals put off");
            }
        }
    }
}

/// The time that a sign of life took, or what was wrong.
pub type Pinged = Result<Duration, BackendError>;

/// The signs of life of the masters of Redis.
#[derive(Debug)]
pub struct RedisPing {
    /// The time until all had answered or failed; an error where none answered.
    pub answer: Pinged,
    /// Whether all answered.
    pub is_whole: bool,
    /// The state of every node.
    pub nodes: Vec<NodeState>,
    /// Settings of the cluster that make a fault worse than it has to be.
    pub warnings: Vec<String>,
}
