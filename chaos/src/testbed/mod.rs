//! The real processes of a run: Postgres, six Redis nodes, the operator in `local` mode and two API
//! processes, with proxies between them where the plan needs some.
//!
//! Everything ends with this program, however it ends. Calls block.

mod cluster_view;
mod http;
mod manifest;
mod postgres;
mod product;
mod redis;

pub use postgres::Database;
pub use product::{ApiProcesses, Operator, Programs};
pub use redis::RedisNodes;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flashsale_servers::Guard;
use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::Value;

use crate::network::Network;
use crate::plan::{API_PROCESSES, Plan};

const NAMESPACE: &str = "default";
const NAME: &str = "chaos";
const SEED_LIMIT: Duration = Duration::from_secs(120);
const POLL_EVERY: Duration = Duration::from_millis(50);

/// What a testbed is started with.
pub struct Settings<'a> {
    /// The plan, for what it needs.
    pub plan: &'a Plan,
    /// The size of the catalogue.
    pub items: u32,
    /// The programs of the product.
    pub programs: &'a Programs,
    /// Where logs go.
    pub logs: &'a Path,
}

/// See the module.
pub struct Testbed {
    // Before the processes: fields are dropped in order, and the guard stops all at once.
    guard: Guard,
    /// The API processes.
    pub api: ApiProcesses,
    /// The operator.
    pub operator: Operator,
    /// The Redis Cluster.
    pub redis: RedisNodes,
    /// The database.
    pub database: Database,
    /// The sale.
    pub sale: Sale,
    status_file: PathBuf,
    _network: Network,
}

/// The sale of a run.
#[derive(Debug, Clone)]
pub struct Sale {
    /// Its id.
    pub id: String,
    /// When it opens.
    pub starts_at: Timestamp,
    /// For how long it is open.
    pub open_for: Duration,
}

impl Testbed {
    /// Starts everything and waits until the sale is seeded and every API process is ready. The
    /// sale then opens within some seconds.
    ///
    /// # Errors
    /// Where something does not start or the sale is not seeded in time.
    pub fn start(settings: &Settings<'_>) -> Result<Self> {
        let needs = settings.plan.requirements();
        let network = Network::start().context("the threads of the proxies")?;
        let database = Database::start(needs, &network)?;
        let redis = RedisNodes::start(needs.redis_proxies, &network)?;
        let guard = Guard::new()?;
        let open_for = Duration::from_secs(settings.plan.sale_seconds.into());
        let starts_at = opening(settings.items)?;
        let status_file = guard.folder().join("status.json");
        let manifest = guard.folder().join("flashsale.yaml");
        let text = manifest::text(NAMESPACE, NAME, starts_at, open_for, settings.items);
        fs::write(&manifest, text).context("the manifest of the sale")?;
        let backends = [
            format!("--redis-url={}", redis.url()),
            format!("--postgres-url={}", database.url()),
        ];
        let operator = Operator::start(&guard, settings, &backends, &manifest, &status_file)?;
        let flash_sale = format!("{NAMESPACE}.{NAME}");
        let api = ApiProcesses::start(&guard, settings, &backends, &flash_sale, API_PROCESSES)?;
        let mut testbed = Self {
            guard,
            api,
            operator,
            redis,
            database,
            sale: Sale {
                // The operator derives it: see below.
                id: String::new(),
                starts_at,
                open_for,
            },
            status_file,
            _network: network,
        };
        testbed.await_seeded()?;
        Ok(testbed)
    }

    fn await_seeded(&mut self) -> Result<()> {
        let deadline = Instant::now() + SEED_LIMIT;
        loop {
            let status = self.status();
            let next = &status["nextSale"];
            let is_seeded = next["seeded"] == true || status["activeSale"]["id"].is_string();
            if is_seeded {
                let id = next["id"].as_str().or(status["activeSale"]["id"].as_str());
                self.sale.id = id.context("the status names no sale")?.to_owned();
                return Ok(());
            }
            self.operator.check()?;
            anyhow::ensure!(
                Instant::now() < deadline,
                "expected the operator to seed the sale within {} s; its status is {status}",
                SEED_LIMIT.as_secs()
            );
            thread::sleep(POLL_EVERY);
        }
    }

    /// What the operator has written of the FlashSale; null before it has.
    pub fn status(&self) -> Value {
        let text = fs::read_to_string(&self.status_file).unwrap_or_default();
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        value.get("status").cloned().unwrap_or(value)
    }

    /// Waits until the operator has settled the sale; whether it did within `limit`.
    pub fn await_settled(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let is_past = |sale: &Value| sale["id"] == *self.sale.id && sale["result"] == "Successful";
        loop {
            let status = self.status();
            let history = status["history"].as_array();
            if history.is_some_and(|history| history.iter().any(is_past)) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(POLL_EVERY);
        }
    }

    /// Starts a killed API process again.
    ///
    /// # Errors
    /// Where it does not become ready.
    pub fn restart_api(&mut self, process: usize) -> Result<()> {
        self.api.start_again(&self.guard, process)
    }

    /// Starts the killed operator again.
    ///
    /// # Errors
    /// Where the system gives no process.
    pub fn restart_operator(&mut self) -> Result<()> {
        self.operator.start_again(&self.guard)
    }
}

/// Long enough from now for the start of the programs and for seeding the catalogue.
fn opening(items: u32) -> Result<Timestamp> {
    const SEEDED_PER_SECOND: u32 = 20_000;
    let seconds = 7 + i64::from(items / SEEDED_PER_SECOND);
    let at = Timestamp::now() + SignedDuration::from_secs(seconds);
    at.round(Unit::Second).context("the time of the opening")
}
