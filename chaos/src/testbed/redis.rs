//! The Redis Cluster of a run: six nodes, perhaps a proxy in front of each.

use std::collections::{BTreeSet, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flashsale_servers::{RedisCluster, RestartData};

use super::cluster_view::{ViewedNode, owner, parse};
use crate::history::OwnedKeys;
use crate::network::{Mode, Network, Proxy};
use crate::plan::{Master, SlotOf};

const MASTERS: usize = 3;
const REPLICAS: usize = 3;
const POLL_EVERY: Duration = Duration::from_millis(20);
const CALL_LIMIT: Duration = Duration::from_secs(5);
/// How long the move of one key may take, in milliseconds.
const MIGRATE_LIMIT_MS: u32 = 5_000;
/// How many cart partitions a sale has.
const PARTITIONS: u16 = 3;
/// How many slots a cluster has.
const SLOTS: u16 = 16_384;
/// Between the moves of two keys: scripts meet a slot that is moved in part.
const BETWEEN_KEYS: Duration = Duration::from_millis(200);

/// See the module.
pub struct RedisNodes {
    cluster: RedisCluster,
    proxies: Vec<Proxy>,
    /// Under which each node is known to the others and to clients.
    announced: Vec<u16>,
    /// Nodes that do not answer because of a fault.
    silent: HashSet<usize>,
}

impl RedisNodes {
    pub(super) fn start(with_proxies: bool, network: &Network) -> Result<Self> {
        let mut proxies = Vec::new();
        if with_proxies {
            for _ in 0..MASTERS + REPLICAS {
                proxies.push(network.open()?);
            }
        }
        // Copies of masters go to their replicas through the proxies too.
        let cluster = RedisCluster::start_announcing(MASTERS, REPLICAS, |ports| {
            for (proxy, port) in proxies.iter().zip(ports) {
                proxy.lead_to(*port);
            }
            match proxies.as_slice() {
                [] => ports.to_vec(),
                proxies => proxies.iter().map(Proxy::port).collect(),
            }
        })?;
        let announced = match proxies.as_slice() {
            [] => cluster.ports(),
            proxies => proxies.iter().map(Proxy::port).collect(),
        };
        Ok(Self {
            cluster,
            proxies,
            announced,
            silent: HashSet::new(),
        })
    }

    /// The URL that the product is given.
    pub fn url(&self) -> String {
        self.cluster.url()
    }

    /// The slot of keys of a sale.
    ///
    /// # Errors
    /// Where no node answers.
    pub fn slot(&self, sale: &str, of: SlotOf) -> Result<u16> {
        match of {
            SlotOf::Sale => self.slot_of_tag(sale),
            SlotOf::Partition(number) => self.slot_of_partition(sale, number),
        }
    }

    /// The slot of the first tag that is in the partition's own part of all slots, as
    /// engine/src/redis/keys.rs has it.
    fn slot_of_partition(&self, sale: &str, number: u16) -> Result<u16> {
        let is_in_its_part = |slot: u16| {
            u32::from(slot) * u32::from(PARTITIONS) / u32::from(SLOTS) == u32::from(number)
        };
        for n in 0..=u16::MAX {
            let slot = self.slot_of_tag(&format!("{sale}#{number}.{n}"))?;
            if is_in_its_part(slot) {
                return Ok(slot);
            }
        }
        anyhow::bail!("no tag of partition {number} is in its part of the slots")
    }

    fn slot_of_tag(&self, tag: &str) -> Result<u16> {
        let slot = self.ask_any(&["CLUSTER", "KEYSLOT", tag])?;
        slot.parse()
            .with_context(|| format!("expected a slot, found {slot:?}"))
    }

    /// The master of a slot.
    ///
    /// # Errors
    /// Where none has it.
    pub fn owner_of(&self, slot: u16) -> Result<usize> {
        let nodes = self.view()?;
        let owner = owner(&nodes, slot).filter(|node| !node.has_failed);
        let owner = owner.with_context(|| format!("no master has the slot {slot}"))?;
        Ok(owner.index)
    }

    /// The master that a fault hits, with the keys of the sale that it has now, and one of its slots.
    ///
    /// # Errors
    /// Where no master has the keys.
    pub fn find(&self, master: Master, sale: &str) -> Result<(OwnedKeys, u16)> {
        let slot = self.slot(sale, SlotOf::Sale)?;
        let of_sale = self.owner_of(slot)?;
        if master == Master::OfSale {
            return Ok((self.keys_of(of_sale, sale)?, slot));
        }
        for number in 0..PARTITIONS {
            let slot = self.slot(sale, SlotOf::Partition(number))?;
            let owner = self.owner_of(slot)?;
            if owner != of_sale {
                return Ok((self.keys_of(owner, sale)?, slot));
            }
        }
        anyhow::bail!("expected cart partitions on another master than the sale's slot")
    }

    /// The keys of a sale that a master has now.
    ///
    /// # Errors
    /// Where no node answers.
    pub fn keys_of(&self, master: usize, sale: &str) -> Result<OwnedKeys> {
        let nodes = self.view()?;
        let has = |of| {
            let slot = self.slot(sale, of)?;
            Ok(owner(&nodes, slot).is_some_and(|node| node.index == master))
        };
        let partitions = (0..PARTITIONS).map(|number| has(SlotOf::Partition(number)));
        Ok(OwnedKeys {
            master,
            sale: has(SlotOf::Sale)?,
            partitions: partitions.collect::<Result<_>>()?,
        })
    }

    /// The replica of a master that would be promoted.
    ///
    /// # Errors
    /// Where it has none.
    pub fn replica_of(&self, master: usize) -> Result<usize> {
        let nodes = self.view()?;
        let of_master = nodes.iter().find(|node| node.index == master);
        let id = of_master.context("the master is not listed")?.id.as_str();
        let follows = |node: &&ViewedNode| node.master.as_deref() == Some(id) && !node.has_failed;
        let replica = nodes.iter().find(follows);
        let replica = replica.with_context(|| format!("master {master} has no replica"))?;
        Ok(replica.index)
    }

    /// Waits until a reachable node reports another master than `old` for a slot; whether one did
    /// within `limit`.
    pub fn await_new_master(&self, slot: u16, old: usize, limit: Duration) -> bool {
        poll(limit, || {
            let nodes = self.view().ok()?;
            owner(&nodes, slot)
                .filter(|node| node.index != old)
                .map(drop)
        })
    }

    /// Waits until every master answers that the cluster is ok; whether it did within `limit`.
    pub fn await_answers(&self, limit: Duration) -> bool {
        poll(limit, || {
            let nodes = self.view().ok()?;
            let mut masters = nodes.iter().filter(|node| !node.slots.is_empty());
            masters
                .all(|node| {
                    let info = self.cluster.ask_node(node.index, &["CLUSTER", "INFO"]);
                    info.is_ok_and(|info| info.contains("cluster_state:ok"))
                })
                .then_some(())
        })
    }

    /// SIGSTOP of a node.
    pub fn pause(&mut self, node: usize) {
        self.cluster.pause(node);
        self.silent.insert(node);
    }

    /// SIGCONT of a node.
    pub fn resume(&mut self, node: usize) {
        self.cluster.resume(node);
        self.silent.remove(&node);
    }

    /// SIGKILL of a node.
    pub fn kill(&mut self, node: usize) {
        self.cluster.kill(node);
        self.silent.insert(node);
    }

    /// Starts a killed node again, empty.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn restart(&mut self, node: usize) -> Result<()> {
        self.cluster.restart(node)?;
        self.silent.remove(&node);
        Ok(())
    }

    /// Breaks the connections of a master's replicas.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn disconnect_replicas(&self, master: usize) -> Result<()> {
        self.cluster
            .ask_node(master, &["CLIENT", "KILL", "TYPE", "replica"])?;
        Ok(())
    }

    /// Has every node write a snapshot.
    ///
    /// # Errors
    /// Where one does not.
    pub fn save_snapshots(&self) -> Result<()> {
        Ok(self.cluster.save_snapshots()?)
    }

    /// SIGKILL of all nodes.
    pub fn kill_all(&mut self) {
        self.cluster.kill_all();
    }

    /// Starts all nodes again.
    ///
    /// # Errors
    /// Where one does not start.
    pub fn restart_all(&mut self, data: RestartData) -> Result<()> {
        Ok(self.cluster.restart_all(data)?)
    }

    /// FLUSHALL on all masters.
    ///
    /// # Errors
    /// Where one does not do it.
    pub fn flush_all(&self) -> Result<()> {
        Ok(self.cluster.flush_all()?)
    }

    /// Sets the memory of every node, in bytes; 0: no limit.
    ///
    /// # Errors
    /// Where one does not do it.
    pub fn limit_memory(&self, bytes: u64) -> Result<()> {
        for node in 0..self.cluster.node_count() {
            let bytes = bytes.to_string();
            self.cluster
                .ask_node(node, &["CONFIG", "SET", "maxmemory", &bytes])?;
        }
        Ok(())
    }

    /// Changes the network between the product and a node.
    ///
    /// # Errors
    /// Where nothing stands in between.
    pub fn set_network(&self, node: usize, mode: Mode) -> Result<()> {
        let proxy = self.proxies.get(node);
        proxy
            .context("expected a proxy in front of each Redis node")?
            .set(mode);
        Ok(())
    }

    /// Moves a slot to another master, key by key.
    ///
    /// # Errors
    /// Where a node refuses a step.
    pub fn migrate(&self, slot: u16) -> Result<()> {
        let nodes = self.view()?;
        let from = owner(&nodes, slot).context("no master has the slot")?;
        let to = nodes
            .iter()
            .find(|node| !node.slots.is_empty() && node.index != from.index)
            .context("there is no other master")?;
        let word = slot.to_string();
        let set = |node: &ViewedNode, words: &[&str]| {
            let words = [&["CLUSTER", "SETSLOT", word.as_str()][..], words].concat();
            self.cluster.ask_node(node.index, &words)
        };
        set(to, &["IMPORTING", &from.id])?;
        set(from, &["MIGRATING", &to.id])?;
        let port = self.cluster.ports()[to.index];
        let mut connection = self.connect(from.index)?;
        loop {
            let keys: Vec<String> = ::redis::cmd("CLUSTER")
                .arg(&["GETKEYSINSLOT", &word, "1"])
                .query(&mut connection)?;
            let Some(key) = keys.first() else {
                break;
            };
            ::redis::cmd("MIGRATE")
                .arg("127.0.0.1")
                .arg(port)
                .arg(key)
                .arg(0)
                .arg(MIGRATE_LIMIT_MS)
                .query::<()>(&mut connection)?;
            thread::sleep(BETWEEN_KEYS);
        }
        // The new master first, so that the slot is never without one. The others get it at once:
        // until gossip reaches them they would send clients to the old master.
        set(to, &["NODE", &to.id])?;
        for node in nodes.iter().filter(|node| !node.slots.is_empty()) {
            set(node, &["NODE", &to.id])?;
        }
        Ok(())
    }

    /// The items that are sold by the bitmap of a sale, and how many codes have an outcome; `None`
    /// where Redis does not hold the sale.
    ///
    /// # Errors
    /// Where the master does not answer.
    pub fn sale(&self, sale: &str) -> Result<Option<(BTreeSet<u32>, usize)>> {
        let master = self.owner_of(self.slot(sale, SlotOf::Sale)?)?;
        let mut connection = self.connect(master)?;
        let key = |name: &str| format!("{{{sale}}}:{name}");
        let is_held: bool = ::redis::cmd("EXISTS")
            .arg(key("meta"))
            .query(&mut connection)?;
        if !is_held {
            return Ok(None);
        }
        let bitmap: Vec<u8> = ::redis::cmd("GET")
            .arg(key("sold"))
            .query(&mut connection)?;
        let outcomes = ::redis::cmd("HLEN")
            .arg(key("outcomes"))
            .query(&mut connection)?;
        Ok(Some((bits(&bitmap), outcomes)))
    }

    fn connect(&self, node: usize) -> Result<::redis::Connection> {
        let url = format!("redis://127.0.0.1:{}", self.cluster.ports()[node]);
        Ok(::redis::Client::open(url)?.get_connection_with_timeout(CALL_LIMIT)?)
    }

    /// The cluster as the first node that answers sees it.
    fn view(&self) -> Result<Vec<ViewedNode>> {
        let text = self.ask_any(&["CLUSTER", "NODES"])?;
        Ok(parse(&text, &self.announced))
    }

    fn ask_any(&self, words: &[&str]) -> Result<String> {
        let mut last = None;
        for node in (0..self.cluster.node_count()).filter(|node| !self.silent.contains(node)) {
            match self.cluster.ask_node(node, words) {
                Ok(answer) => return Ok(answer),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(|| anyhow::anyhow!("no Redis node runs"), Into::into))
    }
}

/// The numbers of the bits that are set, in Redis's order: the highest of a byte is the first.
fn bits(bitmap: &[u8]) -> BTreeSet<u32> {
    let bytes = (0_u32..).zip(bitmap);
    let set = bytes.flat_map(|(place, byte)| {
        let is_set = move |bit: &u32| byte >> (7 - bit) & 1 == 1;
        (0..8).filter(is_set).map(move |bit| place * 8 + bit)
    });
    set.collect()
}

fn poll(limit: Duration, mut check: impl FnMut() -> Option<()>) -> bool {
    let deadline = Instant::now() + limit;
    while check().is_none() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(POLL_EVERY);
    }
    true
}

#[cfg(test)]
mod tests;
