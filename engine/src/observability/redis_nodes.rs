//! Metrics of the nodes of a Redis Cluster.
//!
//! Guarantees: the label `node` has the addresses of the cluster's nodes and no others.

use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

/// What the router of Redis counts.
#[derive(Debug)]
pub struct RedisNodeMetrics {
    /// `redis_node_up{node}`: 1, or 0 while the node is away.
    up: IntGaugeVec,
    /// `redis_node_slots{node}`: slots that the node owns.
    slots: IntGaugeVec,
    /// `redis_node_away_total`: how often a node went away, i.e. a circuit breaker opened.
    pub went_away: IntCounter,
    /// `redis_redirects_total{kind="moved"}`.
    pub moved: IntCounter,
    /// `redis_redirects_total{kind="ask"}`.
    pub asked: IntCounter,
    /// `redis_redirects_total{kind="later"}`: a node could not run a command now (`TRYAGAIN`,
    /// `CLUSTERDOWN`, `LOADING`, `READONLY`, `MASTERDOWN`).
    pub refused: IntCounter,
    /// `redis_slot_map_refreshes_total{result="read"}`.
    pub refreshes: IntCounter,
    /// `redis_slot_map_refreshes_total{result="failed"}`: no node gave a slot map.
    pub refreshes_failed: IntCounter,
}

impl RedisNodeMetrics {
    /// Registers everything.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauges = |name: &str, help: &str| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &["node"])?;
            registry.register(Box::new(gauges.clone()))?;
            Ok::<_, prometheus::Error>(gauges)
        };
        let counters = |name: &str, help: &str, label: &str| {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let went_away = IntCounter::new(
            "redis_node_away_total",
            "Times that a Redis node stopped answering and its calls failed at once",
        )?;
        registry.register(Box::new(went_away.clone()))?;
        let redirects = counters(
            "redis_redirects_total",
            "Replies of Redis that sent a call elsewhere or put it off",
            "kind",
        )?;
        let refreshes = counters(
            "redis_slot_map_refreshes_total",
            "Refreshes of the Redis slot map",
            "result",
        )?;
        Ok(Self {
            up: gauges("redis_node_up", "Whether a Redis node answers")?,
            slots: gauges("redis_node_slots", "Slots that a Redis node owns")?,
            went_away,
            moved: redirects.with_label_values(&["moved"]),
            asked: redirects.with_label_values(&["ask"]),
            refused: redirects.with_label_values(&["later"]),
            refreshes: refreshes.with_label_values(&["read"]),
            refreshes_failed: refreshes.with_label_values(&["failed"]),
        })
    }

    /// Sets the state of a node.
    pub(crate) fn set(&self, node: &str, is_up: bool, slots: u16) {
        self.up.with_label_values(&[node]).set(i64::from(is_up));
        self.slots.with_label_values(&[node]).set(i64::from(slots));
    }

    /// Removes a node that left the cluster.
    pub(crate) fn remove(&self, node: &str) {
        // A node that was not there needs no removal.
        let _ = self.up.remove_label_values(&[node]);
        let _ = self.slots.remove_label_values(&[node]);
    }
}
