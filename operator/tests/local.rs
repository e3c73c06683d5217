//! `flashsale-operator local` as people run it: the real program on a real Redis Cluster and a
//! real Postgres.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use flashsale_engine::admin::Admin;
use flashsale_engine::sale::FlashSaleName;
use flashsale_operator::api::{FlashSaleStatus, Phase, SaleResult};
use flashsale_servers::{Postgres, RedisCluster};
use jiff::{SignedDuration, Timestamp};

const PROGRAM: &str = env!("CARGO_BIN_EXE_flashsale-operator");

/// The stores and a folder for the files of one test.
struct World {
    redis: RedisCluster,
    postgres: Postgres,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let postgres = std::thread::spawn(|| Postgres::start().unwrap());
        let redis = RedisCluster::single().unwrap();
        Self {
            redis,
            postgres: postgres.join().unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A manifest of one sale that opens at `start`, with the URLs of the stores in a Secret.
    fn manifest(&self, start: Timestamp, more: &str) -> PathBuf {
        let (redis, postgres) = (self.redis.url(), self.postgres.url());
        let text = format!(
            "apiVersion: flashsale.dev/v1alpha1
kind: FlashSale
metadata: {{name: deal, namespace: shop}}
spec:
  startAt: {start}
  catalog: {{generate: {{count: 50}}}}
  redis: {{secretKeyRef: {{name: stores, key: redis}}}}
  postgres: {{secretKeyRef: {{name: stores, key: postgres}}}}
{more}
---
apiVersion: v1
kind: Secret
metadata: {{name: stores, namespace: shop}}
stringData: {{redis: \"{redis}\", postgres: \"{postgres}\"}}
"
        );
        let path = self.file("sale.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn start(&self, manifest: &Path) -> Operator {
        let output = self.file(&format!("output-{}", Timestamp::now().as_nanosecond()));
        let child = Command::new(PROGRAM)
            .args(["local", "--manifest"])
            .arg(manifest)
            .arg("--status-file")
            .arg(self.file("status.json"))
            .stdout(File::create(&output).unwrap())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Operator {
            child,
            output,
            status: self.file("status.json"),
        }
    }

    /// The keys that Redis holds, as its plain protocol prints them.
    fn redis_keys(&self) -> String {
        let url = self.redis.url();
        let address = url.strip_prefix("redis://").unwrap();
        let mut redis = TcpStream::connect(address).unwrap();
        redis.write_all(b"KEYS *\r\nQUIT\r\n").unwrap();
        let mut keys = String::new();
        redis.read_to_string(&mut keys).unwrap();
        keys
    }

    /// What Postgres knows of the sales: (seeded, closed, settled) of each.
    fn sales(&self) -> Vec<(bool, bool, bool)> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let name = FlashSaleName::new("shop", "deal").unwrap();
        let records = runtime.block_on(async {
            let admin = Admin::connect(&self.redis.url(), &self.postgres.url())
                .await
                .unwrap();
            admin.observe(&name).await.unwrap()
        });
        let states = records.iter().map(|sale| {
            (
                sale.seeded_at.is_some(),
                sale.closed_at.is_some(),
                sale.settled_at.is_some(),
            )
        });
        states.collect()
    }
}

/// A running operator. Dropping it kills it.
struct Operator {
    child: Child,
    output: PathBuf,
    status: PathBuf,
}

impl Operator {
    fn output(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap()
    }

    /// Waits until the status is as it should be.
    #[track_caller]
    fn await_status(
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
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "it has ended:\n{}",
                self.output()
            );
            let late = Instant::now() > limit;
            assert!(
                !late,
                "never {what}:\n{}\n{}",
                self.output(),
                String::from_utf8_lossy(&text)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn await_phase(&mut self, phase: Phase) -> FlashSaleStatus {
        self.await_status(phase.as_str(), |status| status.phase == phase)
    }

    fn signal(&mut self, signal: &str) -> ExitStatus {
        let kill = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let limit = Instant::now() + Duration::from_secs(10);
        while Instant::now() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end on {signal}:\n{}", self.output());
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// So many seconds from now, to the second.
fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second((Timestamp::now() + SignedDuration::from_secs(seconds)).as_second())
        .unwrap()
}

#[test]
fn a_sale_is_prepared_opened_closed_settled_and_retired() {
    let world = World::new();
    let start = in_seconds(6);
    let manifest = world.manifest(
        start,
        "  duration: 3s\n  limits: {total: 40}\n  api: {warmUp: 3s, coolDown: 1s}",
    );
    let mut operator = world.start(&manifest);

    let scheduled = operator.await_phase(Phase::Scheduled);
    assert!(!scheduled.next_sale.unwrap().seeded);
    let prepared = operator.await_status("prepared", |status| {
        status.next_sale.as_ref().is_some_and(|sale| sale.seeded)
    });
    assert!(Timestamp::now() < start, "it is prepared before it opens");
    assert_eq!(prepared.phase, Phase::WarmingUp);

    let open = operator.await_phase(Phase::Selling).active_sale.unwrap();
    assert_eq!(
        (open.starts_at.0, open.sold_of_total.as_str()),
        (start, "0/40")
    );
    assert!(
        Timestamp::now() < start + SignedDuration::from_secs(1),
        "it opens on time"
    );

    assert!(world.redis_keys().contains(&open.id));

    let finished = operator.await_phase(Phase::Finished);
    assert_eq!(finished.history.len(), 1);
    assert_eq!(
        (finished.history[0].result, finished.history[0].total),
        (SaleResult::Successful, Some(40))
    );
    assert_eq!(world.sales(), [(true, true, true)]);
    assert!(
        !world.redis_keys().contains(&open.id),
        "{}",
        world.redis_keys()
    );

    assert_eq!(operator.signal("-TERM").code(), Some(0), "a clean end");
    let output = operator.output();
    for word in [
        "Scheduled",
        "Seeded",
        "Opened",
        "Ended",
        "Settled",
        "Finished",
    ] {
        assert_eq!(
            output.matches(&format!(" {word} ")).count(),
            1,
            "{word} in:\n{output}"
        );
    }
}

#[test]
fn killed_after_the_warm_up_it_finds_the_same_sale_again_and_the_sale_is_open_on_time() {
    let world = World::new();
    let start = in_seconds(5);
    let manifest = world.manifest(start, "  duration: 10s\n  api: {warmUp: 1m, coolDown: 1s}");
    let mut first = world.start(&manifest);
    let seeded =
        |status: &FlashSaleStatus| status.next_sale.as_ref().is_some_and(|sale| sale.seeded);
    let id = first.await_status("prepared", seeded).next_sale.unwrap().id;
    first.signal("-KILL");

    // Redis loses everything while nobody is there.
    world.redis.flush_all().unwrap();

    let mut second = world.start(&manifest);
    let open = second.await_phase(Phase::Selling).active_sale.unwrap();
    assert_eq!((open.id, open.starts_at.0), (id, start));
    assert_eq!(world.sales().len(), 1);
    assert_eq!(
        second.signal("-INT").code(),
        Some(0),
        "Ctrl-C ends it cleanly too"
    );
}

#[test]
fn stores_that_are_away_are_waited_for() {
    let mut world = World::new();
    world.postgres.stop();
    let manifest = world.manifest(in_seconds(2), "  duration: 10m\n  api: {warmUp: 1s}");
    let mut operator = world.start(&manifest);
    let ready = |wanted: &'static str| {
        move |status: &FlashSaleStatus| {
            status
                .conditions
                .iter()
                .any(|c| c.type_ == "Ready" && c.status == wanted)
        }
    };
    let away = operator.await_status("not ready", ready("False"));
    let database = away
        .conditions
        .iter()
        .find(|c| c.type_ == "DatabaseReady")
        .unwrap();
    assert_eq!(
        (database.status.as_str(), database.reason.as_str()),
        ("False", "Unreachable")
    );

    world.postgres.start_again().unwrap();
    operator.await_status("ready", ready("True"));
    // The start was missed meanwhile; its window is open, so it is made good.
    operator.await_phase(Phase::Selling);
    assert!(
        operator.output().contains("! NotReady"),
        "{}",
        operator.output()
    );
}

#[test]
fn a_wrong_manifest_is_refused_with_its_line_and_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sale.yaml");
    let run = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let output = Command::new(PROGRAM)
            .args(["local", "--manifest"])
            .arg(&file)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, message) = run(
        "apiVersion: flashsale.dev/v1alpha1\nkind: FlashSale\nmetadata: {name: a}\nspec:\n  schedul: x\n",
    );
    assert_eq!(code, Some(1));
    assert!(
        message
            .contains("sale.yaml: line 5: spec.schedul: found an unknown field; expected one of"),
        "{message}"
    );

    std::fs::remove_file(&file).unwrap();
    let output = Command::new(PROGRAM)
        .args(["local", "--manifest"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "no such file");
}

#[test]
fn the_definition_of_the_resource_in_the_tree_is_the_one_that_is_printed() {
    let output = Command::new(PROGRAM).arg("crd").output().unwrap();
    assert!(output.status.success());
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crds/flashsales.flashsale.dev.yaml"
    );
    let in_tree = std::fs::read_to_string(file).unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        in_tree,
        "run `cargo xtask crds`"
    );
}
