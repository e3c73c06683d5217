//! A slot that migrates from one master to another.

use std::time::Duration;

use flashsale_engine::{Metrics, RedisCluster};
use flashsale_servers::RedisCluster as Server;

use crate::{bulk, connect, run, start};

/// The slot of `{mig}` on its way between two masters.
struct Migration<'a> {
    server: &'a Server,
    slot: String,
    from: usize,
    to: usize,
    /// The id of the node that imports the slot.
    to_id: String,
}

impl<'a> Migration<'a> {
    /// The keys stay where they are; new ones belong to the other node.
    fn begin(server: &'a Server) -> Self {
        let key = ["CLUSTER", "KEYSLOT", "{mig}:a"];
        let slot = server.ask_node(0, &key).unwrap();
        let number: usize = slot.parse().unwrap();
        let from = (0..3).find(|m| number < 16_384 * (m + 1) / 3).unwrap();
        let to = (from + 1) % 3;
        let id = |node| server.ask_node(node, &["CLUSTER", "MYID"]).unwrap();
        let migration = Self {
            server,
            slot,
            from,
            to,
            to_id: id(to),
        };
        migration.set_slot(to, &["IMPORTING", &id(from)]);
        migration.set_slot(from, &["MIGRATING", &migration.to_id]);
        migration
    }

    fn set_slot(&self, node: usize, words: &[&str]) {
        let command = [&["CLUSTER", "SETSLOT", self.slot.as_str()], words].concat();
        self.server.ask_node(node, &command).unwrap();
    }

    /// Moves keys to the node that imports the slot.
    fn move_keys(&self, keys: &[&str]) {
        let port = self.server.port(self.to).to_string();
        let to = ["MIGRATE", "127.0.0.1", &port, "\"\"", "0", "5000", "KEYS"];
        let command = [&to, keys].concat();
        self.server.ask_node(self.from, &command).unwrap();
    }

    fn end(self) {
        for node in [self.to, self.from] {
            self.set_slot(node, &["NODE", &self.to_id]);
        }
    }
}

/// How often nodes sent calls elsewhere or put them off.
fn count(metrics: &Metrics, kind: &str) -> u64 {
    let name = format!("redis_redirects_total{{kind=\"{kind}\"}} ");
    let text = metrics.render().unwrap();
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name.as_str()));
    value.unwrap().parse().unwrap()
}

async fn get(redis: &RedisCluster, key: &str) -> String {
    bulk(run(redis, &["GET", key]).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_migrates_under_calls() {
    let server = start(3, 0).await;
    let (redis, metrics) = connect(&server.url()).await;
    run(&redis, &["SET", "{mig}:a", "1"]).await.unwrap();
    run(&redis, &["SET", "{mig}:b", "2"]).await.unwrap();
    let migration = Migration::begin(&server);

    // A key that is still there, and one that is nowhere yet.
    assert_eq!(get(&redis, "{mig}:a").await, "1");
    run(&redis, &["SET", "{mig}:new", "3"]).await.unwrap();
    assert!(count(&metrics, "ask") >= 1);
    let imported = server.ask_node(migration.to, &["DBSIZE"]).unwrap();
    assert_eq!(imported, "1");

    // Keys of one command are divided between the nodes until the others have followed.
    let both = tokio::spawn({
        let redis = redis.clone();
        async move { run(&redis, &["MGET", "{mig}:a", "{mig}:new"]).await }
    });
    while count(&metrics, "later") == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    migration.move_keys(&["{mig}:a", "{mig}:b"]);
    let both: Vec<String> = redis::from_redis_value(both.await.unwrap().unwrap()).unwrap();
    assert_eq!(both, ["1", "3"]);

    migration.end();
    for (key, value) in [("{mig}:a", "1"), ("{mig}:b", "2"), ("{mig}:new", "3")] {
        assert_eq!(get(&redis, key).await, value);
    }
    assert!(count(&metrics, "moved") >= 1);
}
