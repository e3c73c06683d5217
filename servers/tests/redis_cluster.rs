//! A Redis Cluster of one's own: slots over all masters, and a real failover.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use flashsale_servers::{RedisCluster, RestartData};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_dead_master_is_replaced_and_comes_back_as_a_replica() {
    let mut cluster = RedisCluster::start(3, 3).unwrap();
    assert_eq!(cluster.node_count(), 6);
    assert_eq!(cluster.masters(), [0, 1, 2]);
    // Their slots lie on different masters; whoever has one is asked.
    for key in ["a", "b", "c", "d"] {
        cluster.ask(&["SET", key, "here"]).unwrap();
        assert_eq!(cluster.ask(&["STRLEN", key]).unwrap(), "4");
    }

    assert!(cluster.ended_nodes().is_empty());
    cluster.kill(1);
    let ended = cluster.ended_nodes();
    assert!(
        matches!(ended.as_slice(), [(1, how)] if how.to_string().contains("signal: 9")),
        "{ended:?}"
    );
    let deadline = Instant::now() + LIMIT;
    while cluster.masters() != [0, 2, 4] {
        assert!(
            Instant::now() < deadline,
            "no failover: {:?}",
            cluster.masters()
        );
    }

    cluster.restart(1).unwrap();
    assert!(cluster.ended_nodes().is_empty());
    cluster.await_ok(LIMIT).unwrap();
    assert_eq!(cluster.masters(), [0, 2, 4]);
}

#[test]
fn one_node_takes_every_key_and_forgets_them_when_flushed() {
    let mut cluster = RedisCluster::single().unwrap();
    for key in ["{a}", "{b}", "{c}"] {
        ask(&cluster, &["SET", key, "here"]);
    }
    assert_eq!(ask(&cluster, &["DBSIZE"]), "3");
    assert_eq!(
        ask(&cluster, &["CONFIG", "GET", "maxmemory-policy"]),
        "maxmemory-policy noeviction"
    );

    cluster.flush_all().unwrap();
    assert_eq!(ask(&cluster, &["DBSIZE"]), "0");

    let before = cluster.pids();
    cluster.restart(0).unwrap();
    cluster.await_ok(LIMIT).unwrap();
    assert_ne!(cluster.pids(), before);
}

#[test]
fn a_paused_node_is_silent_and_goes_on_afterwards() {
    let mut cluster = RedisCluster::single().unwrap();
    let state = |cluster: &RedisCluster| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", cluster.pids()[0])).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next().unwrap()
    };
    cluster.pause(0);
    let deadline = Instant::now() + LIMIT;
    while state(&cluster) != 'T' {
        assert!(Instant::now() < deadline, "it goes on");
    }
    cluster.resume(0);
    cluster.await_ok(LIMIT).unwrap();
    assert_eq!(ask(&cluster, &["PING"]), "PONG");
}

#[test]
fn nodes_start_again_with_a_snapshot_or_without_data() {
    let mut cluster = RedisCluster::single().unwrap();
    ask(&cluster, &["SET", "early", "here"]);
    cluster.save_snapshots().unwrap();
    ask(&cluster, &["SET", "late", "here"]);
    cluster.kill_all();
    assert_eq!(cluster.ended_nodes().len(), 1);
    cluster.restart_all(RestartData::Snapshot).unwrap();
    cluster.await_ok(LIMIT).unwrap();
    assert_eq!(ask(&cluster, &["EXISTS", "early"]), "1");
    assert_eq!(ask(&cluster, &["EXISTS", "late"]), "0");
    cluster.kill_all();
    cluster.restart_all(RestartData::None).unwrap();
    cluster.await_ok(LIMIT).unwrap();
    assert_eq!(ask(&cluster, &["DBSIZE"]), "0");
}

#[test]
fn nodes_announce_the_ports_that_stand_in_front_of_them() {
    // Nothing listens there, and no master needs it: they talk over their bus.
    let announced = [15_001, 15_002, 15_003];
    let mut listening = Vec::new();
    let cluster = RedisCluster::start_announcing(3, 0, |ports| {
        listening = ports.to_vec();
        announced.to_vec()
    })
    .unwrap();
    assert_eq!(cluster.ports(), listening);
    let nodes = cluster.ask_node(0, &["CLUSTER", "NODES"]).unwrap();
    for port in announced {
        assert!(nodes.contains(&format!("127.0.0.1:{port}@")), "{nodes}");
        assert!(cluster.url().contains(&format!(":{port}")));
        assert!(!cluster.ports().contains(&port));
    }
}

fn ask(cluster: &RedisCluster, words: &[&str]) -> String {
    let client = redis::Client::open(cluster.url()).unwrap();
    let mut connection = client.get_connection_with_timeout(LIMIT).unwrap();
    let answer: redis::Value = redis::cmd(words[0])
        .arg(&words[1..])
        .query(&mut connection)
        .unwrap();
    match answer {
        redis::Value::Array(parts) => parts.iter().map(text).collect::<Vec<_>>().join(" "),
        other => text(&other),
    }
}

fn text(value: &redis::Value) -> String {
    redis::from_redis_value(value.clone()).unwrap()
}
