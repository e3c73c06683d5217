//! The router on a simulated cluster, under paused time.
#![allow(clippy::unwrap_used)]

mod faults;
mod simulated;

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};
use tokio::time::Instant;

use super::{Later, NodeFault, NodeReply, Router, Slot};
use crate::domain::error::BackendError;
use crate::observability::metrics::Metrics;
use crate::redis::commands::Redis;
use simulated::{Behaviour, PausedClock, REPLY_TIME, Shard, Simulated, address};

/// A little more than one redirection takes.
const SOON: Duration = Duration::from_millis(5);

struct Fixture {
    nodes: Simulated,
    redis: Router<Simulated>,
    metrics: Arc<Metrics>,
}

impl Fixture {
    async fn new() -> Self {
        let nodes = Simulated::three_shards();
        let metrics = Arc::new(Metrics::new().unwrap());
        let seeds = vec![address(1), address(2)];
        let redis = Router::join(nodes.clone(), seeds, metrics.clone(), PausedClock::clock());
        Self {
            redis: redis.await.unwrap(),
            nodes,
            metrics,
        }
    }

    /// The number of the node that answers a command, and the time that it takes.
    async fn call(&self, key: &str) -> (Result<i64, BackendError>, Duration) {
        call(&self.redis, key).await
    }

    /// The series of a metric that are exposed.
    fn metric(&self, name: &str) -> Vec<String> {
        let text = self.metrics.render().unwrap();
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(str::to_owned).collect()
    }
}

async fn call(redis: &Router<Simulated>, key: &str) -> (Result<i64, BackendError>, Duration) {
    let (command, started) = (get(key), Instant::now());
    let answer = redis.call("claim", key, &command).await;
    let node = answer.map(|value| match value {
        Value::Int(node) => node,
        other => panic!("{other:?}"),
    });
    (node, started.elapsed())
}

fn get(key: &str) -> Cmd {
    let mut command = redis::cmd("GET");
    command.arg(key);
    command
}

/// A key of each third of the slots.
fn keys() -> [String; 3] {
    let key_of = |range: std::ops::Range<u16>| {
        let mut keys = (0..).map(|n| format!("key-{n}"));
        let has = |key: &String| {
            range
                .clone()
                .any(|slot| Slot::new(slot) == Some(Slot::of_key(key)))
        };
        keys.find(has).unwrap()
    };
    [
        key_of(0..5_461),
        key_of(5_461..10_923),
        key_of(10_923..16_384),
    ]
}

fn assert_away(error: &BackendError, node: u16) {
    match error {
        BackendError::NodeAway { node: found, .. } => {
            assert_eq!(*found, address(node).to_string());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn moved_moves_one_slot() {
    let fixture = Fixture::new().await;
    let [a, ..] = keys();
    let other = format!("{{{a}-2}}");
    // Nothing but the redirection names the new owner: the others do not answer CLUSTER SLOTS.
    let slot = Slot::of_key(&a);
    let moved = NodeReply::Moved {
        slot,
        to: Some(address(3)),
    };
    fixture.nodes.migrate(slot.to_string().parse().unwrap(), 3);
    fixture.nodes.reply_next(1, REPLY_TIME, Ok(moved));
    let (answer, took) = fixture.call(&a).await;
    assert_eq!(answer, Ok(3));
    assert!(took < SOON, "{took:?}");
    assert_eq!(
        fixture.nodes.take_sent(),
        [format!("1 GET {a}"), format!("3 GET {a}")]
    );
    assert_eq!(fixture.call(&a).await.0, Ok(3));
    assert_eq!(fixture.nodes.take_sent(), [format!("3 GET {a}")]);
    let neighbour = keys_of_shard_one().find(|key| *key != a && Slot::of_key(key) != slot);
    assert_eq!(fixture.call(&neighbour.unwrap()).await.0, Ok(1), "{other}");
    let moved = fixture.metric("redis_redirects_total{kind=\"moved\"}");
    assert_eq!(moved, ["redis_redirects_total{kind=\"moved\"} 1"]);
}

fn keys_of_shard_one() -> impl Iterator<Item = String> {
    let is_in = |key: &String| (0..5_461).any(|slot| Slot::new(slot) == Some(Slot::of_key(key)));
    (0..).map(|n| format!("key-{n}")).filter(is_in)
}

#[tokio::test(start_paused = true)]
async fn ask_holds_for_one_command() {
    let fixture = Fixture::new().await;
    let [a, ..] = keys();
    // A node that imports its first slots is not in the slot map.
    let ask = NodeReply::Ask {
        to: Some(address(9)),
    };
    fixture.nodes.reply_next(1, REPLY_TIME, Ok(ask));
    assert_eq!(fixture.call(&a).await.0, Ok(9));
    assert_eq!(fixture.call(&a).await.0, Ok(1));
    let sent = [
        format!("1 GET {a}"),
        format!("9 ASKING GET {a}"),
        format!("1 GET {a}"),
    ];
    assert_eq!(fixture.nodes.take_sent(), sent);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_now_is_tried_again_until_the_time_of_the_call_is_over() {
    let fixture = Fixture::new().await;
    let [a, b, _] = keys();
    for later in [Later::TryAgain, Later::Loading, Later::ReadOnly] {
        fixture
            .nodes
            .reply_next(1, REPLY_TIME, Ok(NodeReply::Later(later)));
    }
    let (answer, took) = fixture.call(&a).await;
    assert_eq!(answer, Ok(1));
    assert!(took < Duration::from_millis(100), "{took:?}");

    for _ in 0..100 {
        let down = NodeReply::Later(Later::ClusterDown);
        fixture.nodes.reply_next(2, REPLY_TIME, Ok(down));
    }
    let (answer, took) = fixture.call(&b).await;
    assert!(answer.unwrap_err().has_redis_code("CLUSTERDOWN"));
    assert!(took < super::CALL_TIMEOUT, "{took:?}");
    assert!(fixture.redis.nodes()[1].away.is_none(), "it answered");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_refuses_everything_costs_milliseconds_until_it_runs_a_command() {
    let fixture = Fixture::new().await;
    let [a, b, _] = keys();
    for later in [Later::Loading, Later::ClusterDown, Later::MasterDown] {
        fixture.nodes.refuse(1, Some(later));
        let (answer, took) = fixture.call(&a).await;
        assert!(answer.unwrap_err().has_redis_code(later.code()));
        assert!(took < super::CALL_TIMEOUT, "{took:?}");
        for _ in 0..3 {
            let (answer, took) = fixture.call(&a).await;
            assert!(answer.unwrap_err().has_redis_code(later.code()));
            assert!(took < SOON, "{took:?}");
            assert_eq!(fixture.call(&b).await, (Ok(2), REPLY_TIME));
        }
        fixture.nodes.refuse(1, None);
        assert_eq!(fixture.call(&a).await, (Ok(1), REPLY_TIME));
    }
    // A slot that migrates says nothing of the others: its calls wait as long as they may.
    fixture.nodes.refuse(1, Some(Later::TryAgain));
    for _ in 0..2 {
        let (answer, took) = fixture.call(&a).await;
        assert!(answer.unwrap_err().has_redis_code("TRYAGAIN"));
        assert!(took >= super::CALL_TIMEOUT, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_server_closed_is_replaced_without_an_error() {
    let fixture = Fixture::new().await;
    let [a, ..] = keys();
    let closed = || Err(NodeFault::Disconnected("closed".to_owned()));
    fixture.nodes.reply_next(1, REPLY_TIME, closed());
    assert_eq!(fixture.call(&a).await.0, Ok(1));
    for _ in 0..2 {
        fixture.nodes.reply_next(1, REPLY_TIME, closed());
    }
    assert_away(&fixture.call(&a).await.0.unwrap_err(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_found_while_a_seed_hangs_and_again_where_all_addresses_changed() {
    let nodes = Simulated::three_shards();
    nodes.set(1, Behaviour::Hangs);
    let (metrics, clock) = (Arc::new(Metrics::new().unwrap()), PausedClock::clock());
    let started = Instant::now();
    // The second seed is a name that leads to one node or another.
    let seeds = vec![address(1), address(8)];
    let redis = Router::join(nodes.clone(), seeds, metrics, clock)
        .await
        .unwrap();
    assert_eq!(started.elapsed(), REPLY_TIME);

    for node in 1..=6 {
        nodes.set(node, Behaviour::Refuses);
    }
    nodes.set_shards(vec![Shard {
        first: 0,
        last: 16_383,
        nodes: vec![address(7)],
    }]);
    let [a, ..] = keys();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(call(&redis, &a).await.0, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn without_a_seed_that_answers_the_error_says_so() {
    let nodes = Simulated::three_shards();
    let join = || {
        let (metrics, clock) = (Arc::new(Metrics::new().unwrap()), PausedClock::clock());
        Router::join(nodes.clone(), vec![address(1)], metrics, clock)
    };
    nodes.set(1, Behaviour::Refuses);
    let error = join().await.unwrap_err();
    let message = error.to_string();
    assert_eq!(message, "Redis, connect: node:1: connection refused");
    nodes.set(1, Behaviour::Hangs);
    let error = join().await.unwrap_err();
    assert!(matches!(
        error,
        BackendError::TimedOut {
            backend: "Redis",
            ..
        }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_reader_has_connections_of_its_own() {
    let fixture = Fixture::new().await;
    let [a, ..] = keys();
    let reader = fixture.redis.stream_reader().await.unwrap();
    assert_eq!(fixture.call(&a).await.0, Ok(1));
    let shared = fixture.nodes.last_connection(1);
    let before = fixture.nodes.connections(1);
    for _ in 0..2 {
        assert_eq!(call(&reader, &a).await.0, Ok(1));
        assert_ne!(fixture.nodes.last_connection(1), shared);
    }
    assert_eq!(fixture.nodes.connections(1), before + 1);
    fixture.nodes.promote_replica_of(1);
    assert_eq!(call(&reader, &a).await.0, Ok(4), "it follows the slot");
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_on_once_the_last_handle_is_dropped() {
    let Fixture { nodes, redis, .. } = Fixture::new().await;
    let [a, ..] = keys();
    nodes.set(1, Behaviour::Hangs);
    assert!(call(&redis, &a).await.0.is_err());
    drop(redis);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(nodes.handles(), 1, "a background task has one");
}
