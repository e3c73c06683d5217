//! The router on real Redis Clusters: masters that hang or are killed, slots that migrate, TLS.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod connections;
mod faults;
mod migration;

use std::sync::Arc;

use flashsale_engine::redis::commands::Redis;
use flashsale_engine::{BackendError, Certificates, Metrics, RedisCluster, SystemClock};
use flashsale_servers::RedisCluster as Server;
use redis::Value;

async fn start(masters: usize, replicas: usize) -> Server {
    let server = tokio::task::spawn_blocking(move || Server::start(masters, replicas));
    server.await.unwrap().unwrap()
}

async fn connect(url: &str) -> (RedisCluster, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    let redis = RedisCluster::connect(
        url,
        &Certificates::NONE,
        metrics.clone(),
        SystemClock::clock(),
    );
    (redis.await.unwrap(), metrics)
}

/// Runs a command whose first argument is its key.
async fn run(redis: &RedisCluster, words: &[&str]) -> Result<Value, BackendError> {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    redis.call("claim", words[1], &command).await
}

/// A key in the slots of each master, in their order.
fn keys(server: &Server, masters: usize) -> Vec<String> {
    let mut keys = vec![None; masters];
    for n in 0.. {
        let key = format!("key-{n}");
        let slot = server.ask_node(0, &["CLUSTER", "KEYSLOT", &key]).unwrap();
        let slot: usize = slot.parse().unwrap();
        let owner = (0..masters).find(|master| slot < 16_384 * (master + 1) / masters);
        keys[owner.unwrap()].get_or_insert(key);
        if keys.iter().all(Option::is_some) {
            break;
        }
    }
    keys.into_iter().flatten().collect()
}

/// The text of an answer.
fn bulk(answer: Result<Value, BackendError>) -> String {
    redis::from_redis_value(answer.unwrap()).unwrap()
}
