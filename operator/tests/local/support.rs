//! Backends, a folder for the files of one test, and operators that run in it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use flashsale_engine::{FlashSaleName, SaleRecord};
use flashsale_operator::crd::{FlashSaleStatus, Phase};
use flashsale_servers::{Postgres, RedisCluster};
use jiff::{SignedDuration, Timestamp};

use super::backends::{self, start_postgres};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_flashsale-operator");

/// Servers that no test breaks; each takes a database and a FlashSale of its own. They end with
/// the program.
struct Shared {
    redis: RedisCluster,
    postgres: Postgres,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let postgres = std::thread::spawn(start_postgres);
        let redis = RedisCluster::single().unwrap();
        let postgres = postgres.join().unwrap();
        Shared { redis, postgres }
    })
}

/// The backends of one FlashSale and a folder for the files of one test.
pub struct World {
    /// The FlashSale, in the namespace `shop`.
    pub name: &'static str,
    pub redis: String,
    pub postgres: String,
    folder: tempfile::TempDir,
}

impl World {
    /// On the shared servers. No other test has this name.
    pub fn new(name: &'static str) -> Self {
        Self::on(name, &shared().redis)
    }

    /// On this Redis and the shared Postgres.
    pub fn on(name: &'static str, redis: &RedisCluster) -> Self {
        let postgres = shared().postgres.create_database(name).unwrap();
        Self::of(name, redis.url(), postgres)
    }

    /// On the shared Redis and this Postgres.
    pub fn with(name: &'static str, postgres: &Postgres) -> Self {
        Self::of(name, shared().redis.url(), postgres.url())
    }

    fn of(name: &'static str, redis: String, postgres: String) -> Self {
        Self {
            name,
            redis,
            postgres,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn flash_sale(&self) -> FlashSaleName {
        FlashSaleName::new("shop", self.name).unwrap()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A manifest of one sale of 50 items that opens at `start`, with the URLs in a Secret.
    pub fn manifest(&self, start: Timestamp, more: &str) -> PathBuf {
        let catalog = "{generate: {count: 50}}";
        self.manifest_of(catalog, start, more, "")
    }

    /// A manifest of one sale, with further documents.
    pub fn manifest_of(
        &self,
        catalog: &str,
        start: Timestamp,
        more: &str,
        documents: &str,
    ) -> PathBuf {
        let Self {
            name,
            redis,
            postgres,
            ..
        } = self;
        let text = format!(
            "apiVersion: flashsale.dev/v1alpha1
kind: FlashSale
metadata: {{name: {name}, namespace: shop}}
spec:
  startAt: {start}
  catalog: {catalog}
  redis: {{secretKeyRef: {{name: stores, key: redis}}}}
  postgres: {{secretKeyRef: {{name: stores, key: postgres}}}}
{more}
---
apiVersion: v1
kind: Secret
metadata: {{name: stores, namespace: shop}}
stringData: {{redis: \"{redis}\", postgres: \"{postgres}\"}}
{documents}"
        );
        let path = self.file("sale.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn start(&self, manifest: &Path) -> Operator {
        let run = Timestamp::now().as_nanosecond();
        let output = self.file(&format!("output-{run}"));
        let log = self.file(&format!("log-{run}"));
        let child = Command::new(PROGRAM)
            .args(["local", "--manifest"])
            .arg(manifest)
            .arg("--status-file")
            .arg(self.file("status.json"))
            .stdout(File::create(&output).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Operator {
            child,
            output,
            log,
            status: self.file("status.json"),
        }
    }

    /// What Redis answers to a command, as its plain protocol prints it.
    pub fn ask_redis(&self, command: &str) -> String {
        backends::ask_redis(&self.redis, command)
    }

    /// Whether Redis holds the state of a sale, and a place in the registry for it.
    pub fn redis_holds(&self, id: &str) -> bool {
        let registry = format!("{{shop.{}}}", self.name);
        let keys = self.ask_redis("KEYS *");
        let key = |line: &&str| line.contains(&registry);
        let registered = keys.lines().filter(key).any(|key| {
            self.ask_redis(&format!("HEXISTS {key} {id}"))
                .starts_with(":1")
        });
        registered && keys.contains(&format!("{{{id}}}"))
    }

    /// Waits until Redis holds a sale, or holds it no more.
    #[track_caller]
    pub fn await_redis(&self, id: &str, holds: bool) {
        await_true("Redis holds the sale, or not", || {
            self.redis_holds(id) == holds
        });
    }

    /// The sales in Postgres.
    pub fn records(&self) -> Vec<SaleRecord> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(backends::records(
            &self.redis,
            &self.postgres,
            &self.flash_sale(),
        ))
    }

    /// Of each sale in Postgres: whether it is seeded, closed, settled and retired.
    pub fn sales(&self) -> Vec<[bool; 4]> {
        let states = self.records().into_iter().map(|sale| {
            [
                sale.seeded_at,
                sale.closed_at,
                sale.settled_at,
                sale.retired_at,
            ]
            .map(|moment| moment.is_some())
        });
        states.collect()
    }
}

/// A running operator. Dropping it kills it.
pub struct Operator {
    child: Child,
    output: PathBuf,
    log: PathBuf,
    status: PathBuf,
}

impl Operator {
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the status is as it should be.
    #[track_caller]
    pub fn await_status(
        &mut self,
        what: &str,
        is: impl Fn(&FlashSaleStatus) -> bool,
    ) -> FlashSaleStatus {
        let limit = Instant::now() + Duration::from_secs(30);
        loop {
            let text = std::fs::read(&self.status).unwrap_or_default();
            // The file is there as a whole or not at all.
            if !text.is_empty() {
                let status: FlashSaleStatus =
                    serde_json::from_slice(&text).expect("a whole status");
                if is(&status) {
                    return status;
                }
            }
            let ended = self.child.try_wait().unwrap();
            let logs = || format!("{}\n{}", self.output(), self.log());
            assert!(ended.is_none(), "it has ended:\n{}", logs());
            let late = Instant::now() > limit;
            let text = String::from_utf8_lossy(&text);
            assert!(!late, "never {what}:\n{}\n{text}", logs());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub fn await_phase(&mut self, phase: Phase) -> FlashSaleStatus {
        self.await_status(phase.as_str(), |status| status.phase == phase)
    }

    /// Waits until the next sale is prepared; answers its id.
    #[track_caller]
    pub fn await_seeded(&mut self) -> String {
        let status = self.await_status("prepared", |status| {
            status.next_sale.as_ref().is_some_and(|sale| sale.seeded)
        });
        status.next_sale.unwrap().id
    }

    /// Waits until conditions have these values, as `Ready=False`.
    #[track_caller]
    pub fn await_conditions(&mut self, expected: &[&str]) -> FlashSaleStatus {
        self.await_status(&expected.join(", "), |status| {
            expected.iter().all(|expected| {
                let mut conditions = status.conditions.iter();
                conditions.any(|c| format!("{}={}", c.type_, c.status) == *expected)
            })
        })
    }

    #[track_caller]
    pub fn signal(&mut self, signal: &str) -> ExitStatus {
        let kill = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        self.await_end(signal)
    }

    #[track_caller]
    pub fn await_end(&mut self, why: &str) -> ExitStatus {
        let limit = Instant::now() + Duration::from_secs(10);
        while Instant::now() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end on {why}:\n{}", self.output());
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
pub fn await_true(what: &str, is: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(Instant::now() < limit, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// So many seconds from now, to the second.
pub fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second((Timestamp::now() + SignedDuration::from_secs(seconds)).as_second())
        .unwrap()
}

/// The result of a program that ends by itself: its exit code, stdout and stderr.
pub fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .env_remove("FLASHSALE_REDIS_URL")
        .env_remove("FLASHSALE_POSTGRES_URL")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}
