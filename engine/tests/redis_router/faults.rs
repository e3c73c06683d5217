//! Masters that hang or are killed. The limits are those of a loaded machine, and far below what a
//! call costs that waits for a node that hangs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flashsale_engine::redis::commands::Redis;
use flashsale_engine::{BackendError, RedisCluster};
use flashsale_servers::RedisCluster as Server;
use tokio::task::JoinHandle;

use crate::{connect, keys, run, start};

/// The time that a hung or killed master may cost its own slots, at a node time-out of 2 s.
const OUTAGE_LIMIT: Duration = Duration::from_secs(12);

/// The time from the promotion, as another master reports it, to the first call that succeeds.
const NOTICED_LIMIT: Duration = Duration::from_secs(3);

/// What 99 of 100 calls to other slots stay below.
const OTHERS_P99: Duration = Duration::from_millis(500);

/// One call: when it started, how long it took and whether it succeeded.
type Measured = (Instant, Duration, bool);

/// Calls one slot every few milliseconds, one call after the other.
struct Caller {
    calls: Arc<Mutex<Vec<Measured>>>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Caller {
    fn start(redis: &RedisCluster, key: &str) -> Self {
        let (redis, key) = (redis.clone(), key.to_owned());
        let calls = Arc::<Mutex<Vec<Measured>>>::default();
        let stop = Arc::<AtomicBool>::default();
        let (made, stopped) = (calls.clone(), stop.clone());
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let started = Instant::now();
                let is_ok = run(&redis, &["INCR", &key]).await.is_ok();
                made.lock()
                    .unwrap()
                    .push((started, started.elapsed(), is_ok));
                tokio::time::sleep(Duration::from_millis(4)).await;
            }
        });
        Self { calls, stop, task }
    }

    /// When the first call that began after `from` had succeeded.
    fn succeeded_after(&self, from: Instant) -> Option<Instant> {
        let calls = self.calls.lock().unwrap();
        let mut later = calls
            .iter()
            .filter(|(started, _, is_ok)| *started > from && *is_ok);
        later.next().map(|(started, took, _)| *started + *took)
    }

    async fn stop(self) -> Vec<Measured> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        Arc::try_unwrap(self.calls).unwrap().into_inner().unwrap()
    }
}

/// Waits until another master reports that a replica has the slots of node 0.
async fn promoted(server: &Arc<Mutex<Server>>) -> Instant {
    let server = server.clone();
    let poll = move || loop {
        let nodes = server
            .lock()
            .unwrap()
            .ask_node(1, &["CLUSTER", "NODES"])
            .unwrap();
        let is_owner = |line: &str| {
            let fields: Vec<&str> = line.split(' ').collect();
            let is_first = fields.get(8).is_some_and(|slots| slots.starts_with("0-"));
            is_first && !fields[2].contains("fail")
        };
        let port = server.lock().unwrap().port(0);
        let mut owners = nodes.lines().filter(|line| is_owner(line));
        if owners.any(|line| !line.contains(&format!(":{port}@"))) {
            return Instant::now();
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    tokio::task::spawn_blocking(poll).await.unwrap()
}

/// No call to other slots failed since the fault, and they took no longer than before.
fn others_went_on(calls: &[Measured], fault_at: Instant) {
    let during = calls.iter().filter(|(started, ..)| *started >= fault_at);
    let mut times: Vec<Duration> = during.clone().map(|(_, took, _)| *took).collect();
    times.sort_unstable();
    let failed = during.filter(|(_, _, is_ok)| !is_ok).count();
    let p99 = times[times.len() * 99 / 100];
    assert_eq!(failed, 0, "of {} calls to other slots", times.len());
    assert!(p99 < OTHERS_P99, "{p99:?}");
}

/// Calls to slots of the faulty master fail at once, but for the first ones.
fn callers_did_not_wait(calls: &[Measured], fault_at: Instant) {
    let later = fault_at + Duration::from_millis(2_000);
    let failed = calls
        .iter()
        .filter(|(started, _, is_ok)| *started > later && !is_ok);
    let longest = failed.map(|(_, took, _)| *took).max();
    assert!(longest < Some(Duration::from_millis(500)), "{longest:?}");
}

/// Waits until the caller succeeds again; returns when it did.
async fn succeeds_again(caller: &Caller, fault_at: Instant) -> Instant {
    loop {
        // A call that began with the fault may have been answered before it.
        if let Some(again) = caller.succeeded_after(fault_at + Duration::from_millis(50)) {
            return again;
        }
        assert!(fault_at.elapsed() < 2 * OUTAGE_LIMIT, "it never succeeds");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn a_fault_of_a_master_costs_its_own_slots_alone(fault: fn(&mut Server)) {
    let server = start(3, 3).await;
    let keys = keys(&server, 3);
    let (redis, metrics) = connect(&server.url()).await;
    let callers: Vec<Caller> = keys.iter().map(|key| Caller::start(&redis, key)).collect();
    let begun = Instant::now();
    for caller in &callers {
        while caller.succeeded_after(begun).is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    let server = Arc::new(Mutex::new(server));
    fault(&mut server.lock().unwrap());
    let fault_at = Instant::now();
    let promoted_at = promoted(&server).await;
    let again = succeeds_again(&callers[0], fault_at).await;
    let outage = again - fault_at;
    let noticed_after = again.saturating_duration_since(promoted_at);
    println!("outage {outage:?}, {noticed_after:?} of it after the promotion");
    for (n, caller) in callers.into_iter().enumerate() {
        let calls = caller.stop().await;
        match n {
            0 => callers_did_not_wait(&calls, fault_at),
            _ => others_went_on(&calls, fault_at),
        }
    }
    assert!(outage < OUTAGE_LIMIT, "{outage:?}");
    assert!(noticed_after < NOTICED_LIMIT, "{noticed_after:?}");
    let text = metrics.render().unwrap();
    assert!(text.contains("redis_node_away_total 1"), "{text}");

    let server = Arc::try_unwrap(server).unwrap().into_inner().unwrap();
    let _server = as_replica_again(server).await;
    for key in &keys {
        run(&redis, &["INCR", key]).await.unwrap();
    }
}

/// The old master comes back as a replica.
async fn as_replica_again(mut server: Server) -> Server {
    let back = tokio::task::spawn_blocking(move || {
        match server.ended_nodes().is_empty() {
            true => server.resume(0),
            false => server.restart(0).unwrap(),
        }
        server.await_ok(Duration::from_secs(30)).unwrap();
        server
    });
    back.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_hangs_costs_its_own_slots_until_its_replica_is_promoted() {
    a_fault_of_a_master_costs_its_own_slots_alone(|server| server.pause(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_killed_costs_its_own_slots_until_its_replica_is_promoted() {
    a_fault_of_a_master_costs_its_own_slots_alone(|server| server.kill(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_hangs_for_a_moment_is_back_at_once() {
    let mut server = start(3, 0).await;
    let keys = keys(&server, 3);
    let (redis, _) = connect(&server.url()).await;
    for key in &keys {
        run(&redis, &["SET", key, "1"]).await.unwrap();
    }
    server.pause(0);
    let error = run(&redis, &["GET", &keys[0]]).await.unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, BackendError::NodeAway { .. }), "{message}");
    assert!(
        message.contains(&format!("127.0.0.1:{}", server.port(0))),
        "{message}"
    );
    let pinged = Instant::now();
    let masters = redis.call_all_masters("PING", &redis::cmd("PING")).await;
    assert!(
        pinged.elapsed() < Duration::from_millis(500),
        "{:?}",
        pinged.elapsed()
    );
    assert_eq!(
        masters
            .iter()
            .filter(|master| master.answer.is_ok())
            .count(),
        2
    );
    assert_eq!(
        redis
            .nodes()
            .iter()
            .filter(|node| node.away.is_some())
            .count(),
        1
    );

    server.resume(0);
    let resumed = Instant::now();
    while run(&redis, &["GET", &keys[0]]).await.is_err() {
        assert!(resumed.elapsed() < Duration::from_secs(5), "it stays away");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(redis.nodes().iter().all(|node| node.away.is_none()));
}
