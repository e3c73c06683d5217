//! A simulated cluster under seam N: nodes that hang, refuse, redirect and are promoted at will.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use redis::{Arg, Cmd, Value};

use crate::domain::clock::{Clock, TimeSource};
use crate::redis::cluster::{
    Later, Node, NodeAddress, NodeFault, NodeReply, NodeResult, Nodes, Slot,
};

/// How long a command takes on its way and back.
pub const REPLY_TIME: Duration = Duration::from_millis(1);

/// What a node does with commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    #[default]
    Answers,
    /// Connections stay, and nothing is answered.
    Hangs,
    /// Nothing listens at the address.
    Refuses,
}

#[derive(Debug, Default)]
struct State {
    behaviour: Behaviour,
    /// What it replies to the next commands, instead of what it would.
    replies: VecDeque<(Duration, NodeResult)>,
    /// Why it refuses everything but `PING` and `CLUSTER`.
    refuses: Option<Later>,
    /// Connections to it that were made.
    connections: usize,
    /// The number of the connection that its last command came over.
    last_connection: usize,
    in_probe: usize,
    most_in_probe: usize,
}

impl State {
    fn refusal(&self) -> Option<(Duration, NodeResult)> {
        let later = self.refuses?;
        Some((REPLY_TIME, Ok(NodeReply::Later(later))))
    }
}

/// A range of slots and the nodes that have it, the master first.
#[derive(Debug, Clone)]
pub struct Shard {
    pub first: u16,
    pub last: u16,
    pub nodes: Vec<NodeAddress>,
}

#[derive(Debug, Default)]
struct World {
    shards: Vec<Shard>,
    nodes: BTreeMap<NodeAddress, State>,
    sent: Vec<(NodeAddress, String)>,
}

/// A handle to a simulated cluster; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Simulated(Arc<Mutex<World>>);

/// The address of a node by its number.
pub fn address(node: u16) -> NodeAddress {
    NodeAddress::new("node", node)
}

impl Simulated {
    /// Masters 1, 2 and 3 with a third of the slots each, and their replicas 4, 5 and 6.
    pub fn three_shards() -> Self {
        let simulated = Self::default();
        let ranges = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)];
        let shards = (1..).zip(ranges).map(|(master, (first, last))| Shard {
            first,
            last,
            nodes: vec![address(master), address(master + 3)],
        });
        simulated.world().shards = shards.collect();
        simulated
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Lets a node behave so from now on.
    pub fn set(&self, node: u16, behaviour: Behaviour) {
        self.world()
            .nodes
            .entry(address(node))
            .or_default()
            .behaviour = behaviour;
    }

    /// A node replies so to its next command, after some time.
    pub fn reply_next(&self, node: u16, after: Duration, result: NodeResult) {
        let mut world = self.world();
        let state = world.nodes.entry(address(node)).or_default();
        state.replies.push_back((after, result));
    }

    /// A node refuses commands from now on, or no longer.
    pub fn refuse(&self, node: u16, why: Option<Later>) {
        let mut world = self.world();
        world.nodes.entry(address(node)).or_default().refuses = why;
    }

    /// Replaces what `CLUSTER SLOTS` answers, and who owns which slot.
    pub fn set_shards(&self, shards: Vec<Shard>) {
        self.world().shards = shards;
    }

    /// The first replica of a master is promoted; the master leaves the cluster.
    pub fn promote_replica_of(&self, master: u16) {
        let mut world = self.world();
        for shard in &mut world.shards {
            if shard.nodes[0] == address(master) {
                shard.nodes.remove(0);
            }
        }
    }

    /// Gives one slot to the first node of another shard.
    pub fn migrate(&self, slot: u16, to: u16) {
        let mut world = self.world();
        let single = |shard: &Shard, first, last| Shard {
            first,
            last,
            nodes: shard.nodes.clone(),
        };
        let mut shards = vec![Shard {
            first: slot,
            last: slot,
            nodes: vec![address(to)],
        }];
        for shard in &world.shards {
            if (shard.first..=shard.last).contains(&slot) {
                shards.push(single(shard, shard.first, slot - 1));
                shards.push(single(shard, slot + 1, shard.last));
            } else {
                shards.push(shard.clone());
            }
        }
        world.shards = shards;
    }

    /// The commands that were sent since the last call, each with the number of its node, but for
    /// those of the background.
    pub fn take_sent(&self) -> Vec<String> {
        let sent = std::mem::take(&mut self.world().sent);
        let is_background =
            |command: &String| command.ends_with("CLUSTER SLOTS") || command.ends_with(" PING");
        let sent = sent
            .iter()
            .map(|(node, command)| format!("{} {command}", node.port()));
        sent.filter(|command| !is_background(command)).collect()
    }

    /// How many connections to a node were made.
    pub fn connections(&self, node: u16) -> usize {
        self.world()
            .nodes
            .get(&address(node))
            .map_or(0, |state| state.connections)
    }

    /// The number of the connection that the last command to a node came over.
    pub fn last_connection(&self, node: u16) -> usize {
        self.world().nodes[&address(node)].last_connection
    }

    /// The most probes of a node that were on their way at once.
    pub fn most_probes_at_once(&self, node: u16) -> usize {
        self.world().nodes[&address(node)].most_in_probe
    }

    /// Handles to the cluster that exist.
    pub fn handles(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl Nodes for Simulated {
    type Node = SimulatedNode;

    fn node(&self, address: &NodeAddress) -> SimulatedNode {
        let mut world = self.world();
        let state = world.nodes.entry(address.clone()).or_default();
        state.connections += 1;
        SimulatedNode {
            connection: state.connections,
            simulated: self.clone(),
            address: address.clone(),
        }
    }
}

/// One node.
#[derive(Debug)]
pub struct SimulatedNode {
    simulated: Simulated,
    connection: usize,
    address: NodeAddress,
}

impl Node for SimulatedNode {
    async fn call(&self, command: &Cmd, limit: Duration) -> NodeResult {
        self.send(&words(command), "", limit).await
    }

    async fn call_asking(&self, command: &Cmd, limit: Duration) -> NodeResult {
        self.send(&words(command), "ASKING ", limit).await
    }
}

impl SimulatedNode {
    async fn send(&self, words: &[String], asking: &str, limit: Duration) -> NodeResult {
        let is_probe = words[0] == "PING";
        let (after, result) = {
            let mut world = self.simulated.world();
            let sent = format!("{asking}{}", words.join(" "));
            world.sent.push((self.address.clone(), sent));
            world.count_probe(&self.address, is_probe, 1);
            let state = world.nodes.entry(self.address.clone()).or_default();
            state.last_connection = self.connection;
            world.reply(&self.address, words, !asking.is_empty())
        };
        let in_time = after <= limit;
        tokio::time::sleep(after.min(limit)).await;
        self.simulated
            .world()
            .count_probe(&self.address, is_probe, -1);
        if in_time {
            result
        } else {
            Err(NodeFault::TimedOut)
        }
    }
}

impl World {
    fn count_probe(&mut self, node: &NodeAddress, is_probe: bool, change: isize) {
        if is_probe && let Some(state) = self.nodes.get_mut(node) {
            state.in_probe = state.in_probe.saturating_add_signed(change);
            state.most_in_probe = state.most_in_probe.max(state.in_probe);
        }
    }

    fn reply(
        &mut self,
        node: &NodeAddress,
        words: &[String],
        asking: bool,
    ) -> (Duration, NodeResult) {
        let slots = self.slots_answer();
        let owner = words.get(1).map(|key| Slot::of_key(key));
        let owner = owner.and_then(|slot| Some((slot, self.owner(slot)?)));
        let state = self.nodes.entry(node.clone()).or_default();
        match state.behaviour {
            Behaviour::Hangs => return (Duration::MAX, Err(NodeFault::TimedOut)),
            Behaviour::Refuses => {
                let why = NodeFault::Unreachable("connection refused".to_owned());
                return (REPLY_TIME, Err(why));
            }
            Behaviour::Answers => {}
        }
        let answer = |value| (REPLY_TIME, Ok(NodeReply::Answer(value)));
        match words[0].as_str() {
            "CLUSTER" => answer(slots),
            "PING" => answer(Value::SimpleString("PONG".to_owned())),
            _ => match (state.replies.pop_front().or(state.refusal()), owner) {
                (Some(reply), _) => reply,
                (None, Some((slot, owner))) if owner != *node && !asking => {
                    let to = Some(owner);
                    (REPLY_TIME, Ok(NodeReply::Moved { slot, to }))
                }
                (None, _) => answer(Value::Int(i64::from(node.port()))),
            },
        }
    }

    fn owner(&self, slot: Slot) -> Option<NodeAddress> {
        let has = |shard: &&Shard| {
            let mut numbers = shard.first..=shard.last;
            numbers.any(|number| Slot::new(number) == Some(slot))
        };
        self.shards
            .iter()
            .find(has)
            .map(|shard| shard.nodes[0].clone())
    }

    fn slots_answer(&self) -> Value {
        let node = |node: &NodeAddress| {
            let host = Value::BulkString(node.host().as_bytes().to_vec());
            Value::Array(vec![host, Value::Int(i64::from(node.port()))])
        };
        let shards = self.shards.iter().map(|shard| {
            let mut fields = vec![
                Value::Int(i64::from(shard.first)),
                Value::Int(i64::from(shard.last)),
            ];
            fields.extend(shard.nodes.iter().map(node));
            Value::Array(fields)
        });
        Value::Array(shards.collect())
    }
}

fn words(command: &Cmd) -> Vec<String> {
    let word = |argument: Arg<&[u8]>| match argument {
        Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    };
    command.args_iter().map(word).collect()
}

/// A clock that follows the paused time of the runtime.
#[derive(Debug)]
pub struct PausedClock(tokio::time::Instant);

impl PausedClock {
    /// A clock that starts at 0.
    pub fn clock() -> Clock {
        Clock::new(Self(tokio::time::Instant::now()))
    }
}

impl TimeSource for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}
