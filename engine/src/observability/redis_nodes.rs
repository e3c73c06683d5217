//! Metrics of the nodes of a Redis Cluster.
//!
//! Guarantees: the label `node` has the addresses of the cluster's nodes and no others.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

/// What the router of Redis counts.
#[derive(Debug)]
pub struct RedisNodeMetrics {
    /// `redis_node_up{node}`: 1, or 0 while the node is away.
    up: IntGaugeVec,
    /// `redis_node_slots{node}`: slots that the node owns.
    slots: IntGaugeVec,
    /// `redis_node_away_since_timestamp_seconds{node}`: since when the node is away, Unix time; 0 while
    /// it is up.
    away_since: IntGaugeVec,
    /// `redis_node_info{node,id,slots}`: 1, with the id of the node and the slots that it owns.
    info: IntGaugeVec,
    /// Id and slots of each node in `redis_node_info`.
    shown: Mutex<HashMap<String, [String; 2]>>,
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
        let labelled = |name: &str, help: &str, labels: &[&str]| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone()))?;
            Ok::<_, prometheus::Error>(gauges)
        };
        let gauges = |name: &str, help: &str| labelled(name, help, &["node"]);
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
            away_since: gauges(
                "redis_node_away_since_timestamp_seconds",
                "Since when a Redis node is away, Unix time; 0 while it is up",
            )?,
            info: labelled(
                "redis_node_info",
                "The id of a Redis node and the slots that it owns",
                &["node", "id", "slots"],
            )?,
            shown: Mutex::default(),
            went_away,
            moved: redirects.with_label_values(&["moved"]),
            asked: redirects.with_label_values(&["ask"]),
            refused: redirects.with_label_values(&["later"]),
            refreshes: refreshes.with_label_values(&["read"]),
            refreshes_failed: refreshes.with_label_values(&["failed"]),
        })
    }

    /// Sets the state of a node.
    pub(crate) fn set(&self, node: &RedisNodeSeries<'_>) {
        let RedisNodeSeries {
            address,
            id,
            slots,
            slot_count,
            away_since,
        } = node;
        let is_up = i64::from(away_since.is_none());
        self.up.with_label_values(&[address]).set(is_up);
        let slot_count = i64::from(*slot_count);
        self.slots.with_label_values(&[address]).set(slot_count);
        let since = away_since.map_or(0, Timestamp::as_second);
        self.away_since.with_label_values(&[address]).set(since);
        let shown = [(*id).to_owned(), slots.clone()];
        let before = self.lock_shown().insert((*address).to_owned(), shown);
        if let Some([id, slots]) = before {
            let _ = self
                .info
                .remove_label_values(&[*address, id.as_str(), slots.as_str()]);
        }
        self.info
            .with_label_values(&[*address, *id, slots.as_str()])
            .set(1);
    }

    /// Removes a node that left the cluster.
    pub(crate) fn remove(&self, node: &str) {
        // A node that was not there needs no removal.
        for gauges in [&self.up, &self.slots, &self.away_since] {
            let _ = gauges.remove_label_values(&[node]);
        }
        if let Some([id, slots]) = self.lock_shown().remove(node) {
            let _ = self.info.remove_label_values(&[node, &id, &slots]);
        }
    }

    fn lock_shown(&self) -> std::sync::MutexGuard<'_, HashMap<String, [String; 2]>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state of one node, as the metrics show it.
#[derive(Debug)]
pub(crate) struct RedisNodeSeries<'a> {
    /// Its address, `host:port`.
    pub address: &'a str,
    /// Its id; empty where it is not known.
    pub id: &'a str,
    /// The slots that it owns, `0-5460,7000`; empty for a replica.
    pub slots: String,
    /// How many slots those are.
    pub slot_count: u16,
    /// Since when it is away; none while it is up.
    pub away_since: Option<Timestamp>,
}
