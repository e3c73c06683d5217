//! A Redis Cluster of several processes.
//!
//! Nothing is persisted unless a snapshot is asked for: a node that is killed and restarted comes
//! back empty, with its place in the cluster. A silent master is failed over after two seconds. The
//! slots of other masters are served meanwhile (`cluster-require-full-coverage no`).

use std::time::Duration;

use crate::{
    Guard, ServersError, TestCertificates,
    process::Signal,
    programs::redis_server,
    redis_node::{HeldPorts, Node, RestartData},
    wait::poll,
};

mod form;

use form::{fields, form, settled};

const SLOTS: usize = 16_384;
const FORM_LIMIT: Duration = Duration::from_secs(30);

/// A running cluster. Its nodes are numbered from 0; at the start the first
/// `masters` of them are masters.
#[derive(Debug)]
pub struct RedisCluster {
    // Before the nodes: fields are dropped in order, and the guard stops all at once.
    guard: Guard,
    nodes: Vec<Node>,
    certificates: Option<TestCertificates>,
}

impl RedisCluster {
    /// Starts `masters + replicas` nodes, the slots spread over the masters and the
    /// replicas over them in turn; about three seconds, of which two are Redis's own
    /// wait before a new master takes writes.
    ///
    /// # Errors
    /// Where the program is missing, a node does not start, or no cluster forms.
    ///
    /// # Panics
    /// Where `masters` is 0.
    pub fn start(masters: usize, replicas: usize) -> Result<Self, ServersError> {
        Self::start_announcing(masters, replicas, |ports| ports.to_vec())
    }

    /// The same with TLS on a port of its own beside the other: clients and nodes show
    /// certificates of [`RedisCluster::certificates`].
    ///
    /// # Errors
    /// As [`RedisCluster::start`], and where OpenSSL makes no certificates.
    pub fn start_with_tls(masters: usize, replicas: usize) -> Result<Self, ServersError> {
        let guard = Guard::new()?;
        let certificates = TestCertificates::generate(guard.folder())?;
        Self::start_in(guard, Some(certificates), (masters, replicas), |ports| {
            ports.to_vec()
        })
    }

    /// The same behind something that stands in front of the nodes: `announce` gets the ports at
    /// which they listen, and returns those under which clients and other nodes are to find them,
    /// in the same order.
    ///
    /// # Errors
    /// As [`RedisCluster::start`].
    ///
    /// # Panics
    /// Where `masters` is 0.
    pub fn start_announcing(
        masters: usize,
        replicas: usize,
        announce: impl FnOnce(&[u16]) -> Vec<u16>,
    ) -> Result<Self, ServersError> {
        Self::start_in(Guard::new()?, None, (masters, replicas), announce)
    }

    fn start_in(
        guard: Guard,
        certificates: Option<TestCertificates>,
        (masters, replicas): (usize, usize),
        announce: impl FnOnce(&[u16]) -> Vec<u16>,
    ) -> Result<Self, ServersError> {
        assert!(masters > 0, "a cluster has at least one master");
        let program = redis_server()?;
        let launch = |(index, ports)| {
            Node::launch(&guard, program.clone(), index, ports, certificates.clone())
        };
        let mut nodes = HeldPorts::of_nodes(masters + replicas)?
            .into_iter()
            .enumerate()
            .map(launch)
            .collect::<Result<Vec<_>, _>>()?;
        for node in &mut nodes {
            node.await_first_ready(&guard)?;
        }
        let ports: Vec<u16> = nodes.iter().map(Node::port).collect();
        for (node, port) in nodes.iter_mut().zip(announce(&ports)) {
            node.announce(port)?;
        }
        form(&nodes, masters)?;
        let mut cluster = Self {
            guard,
            nodes,
            certificates,
        };
        cluster.await_ok(FORM_LIMIT)?;
        Ok(cluster)
    }

    /// Starts one master that owns all slots.
    ///
    /// # Errors
    /// As [`RedisCluster::start`].
    pub fn single() -> Result<Self, ServersError> {
        Self::start(1, 0)
    }

    /// URLs of all nodes, separated by commas.
    pub fn url(&self) -> String {
        let urls: Vec<String> = self.nodes.iter().map(Node::url).collect();
        urls.join(",")
    }

    /// URLs of all nodes for TLS, separated by commas; `login` is `user:password@` or empty.
    /// Empty where the cluster speaks no TLS.
    pub fn tls_url(&self, login: &str) -> String {
        let ports = self.nodes.iter().filter_map(Node::tls_port);
        let urls: Vec<String> = ports
            .map(|port| format!("rediss://{login}127.0.0.1:{port}"))
            .collect();
        urls.join(",")
    }

    /// The certificates of a cluster with TLS.
    pub fn certificates(&self) -> Option<&TestCertificates> {
        self.certificates.as_ref()
    }

    /// The port of node `index`, without TLS.
    ///
    /// # Panics
    /// Where there is no such node.
    pub fn port(&self, index: usize) -> u16 {
        self.nodes[index].port()
    }

    /// The ports at which the nodes themselves listen, whatever they announce.
    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(Node::port).collect()
    }

    /// How many nodes there are, running or not.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Process ids of the nodes, also of ended ones.
    pub fn pids(&self) -> Vec<u32> {
        self.nodes.iter().map(Node::pid).collect()
    }

    /// Numbers of the nodes that say now that they are masters.
    pub fn masters(&self) -> Vec<usize> {
        let is_master = |node: &Node| {
            node.ask(&["INFO", "replication"]).is_ok_and(|info| {
                fields(&info)
                    .get("role")
                    .is_some_and(|role| role == "master")
            })
        };
        (0..self.nodes.len())
            .filter(|&index| is_master(&self.nodes[index]))
            .collect()
    }

    /// That a node has ended, as an error with the end of its log; `None` while all
    /// run.
    pub fn ended(&mut self) -> Option<ServersError> {
        self.nodes
            .iter_mut()
            .find_map(|node| node.process().ended())
    }

    /// Numbers of the nodes that have ended, and how each did.
    pub fn ended_nodes(&mut self) -> Vec<(usize, ServersError)> {
        let nodes = self.nodes.iter_mut().enumerate();
        nodes
            .filter_map(|(index, node)| Some((index, node.process().ended()?)))
            .collect()
    }

    /// Sends a command that names one key, and returns the answer of the master that has
    /// the key, as text.
    ///
    /// # Errors
    /// Where no master does it; what the last one said.
    pub fn ask(&self, words: &[&str]) -> Result<String, ServersError> {
        let mut last = None;
        for index in self.masters() {
            // The others answer where it is, which is not worth reading for so few nodes.
            match self.nodes[index].ask(words) {
                Ok(answer) => return Ok(answer),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| ServersError::Redis {
            name: "the cluster".into(),
            command: words.join(" "),
            source: std::io::Error::other("no node says that it is a master"),
        }))
    }

    /// Sends a command to node `index` and returns its answer as text.
    ///
    /// # Errors
    /// Where the node does not run, or answers with an error.
    ///
    /// # Panics
    /// Where there is no such node.
    pub fn ask_node(&self, index: usize, words: &[&str]) -> Result<String, ServersError> {
        self.nodes[index].ask(words)
    }

    /// Removes every key.
    ///
    /// # Errors
    /// Where a master does not do it; those before it have.
    pub fn flush_all(&self) -> Result<(), ServersError> {
        for index in self.masters() {
            self.nodes[index].ask(&["FLUSHALL"])?;
        }
        Ok(())
    }

    /// Stops node `index` with SIGSTOP: connections to it stay, and are silent.
    ///
    /// # Panics
    /// Where there is no such node.
    pub fn pause(&mut self, index: usize) {
        self.nodes[index].process().signal(Signal::Stop);
    }

    /// Lets the paused node `index` go on.
    ///
    /// # Panics
    /// Where there is no such node.
    pub fn resume(&mut self, index: usize) {
        self.nodes[index].process().signal(Signal::Continue);
    }

    /// Kills node `index` with SIGKILL.
    ///
    /// # Panics
    /// Where there is no such node.
    pub fn kill(&mut self, index: usize) {
        self.nodes[index].kill();
    }

    /// Starts node `index` again on its ports, without its data, and waits until it
    /// answers; kills it before where it runs.
    ///
    /// # Errors
    /// Where it does not start.
    ///
    /// # Panics
    /// Where there is no such node.
    pub fn restart(&mut self, index: usize) -> Result<(), ServersError> {
        self.nodes[index].restart(&self.guard)
    }

    /// Has every node write a snapshot of what it holds now.
    ///
    /// # Errors
    /// Where a node does not run or cannot write it.
    pub fn save_snapshots(&self) -> Result<(), ServersError> {
        for node in &self.nodes {
            node.ask(&["SAVE"])?;
        }
        Ok(())
    }

    /// Kills all nodes at once.
    pub fn kill_all(&mut self) {
        for node in &mut self.nodes {
            node.process().signal(Signal::Kill);
        }
        for node in &mut self.nodes {
            node.kill();
        }
    }

    /// Starts all killed nodes again on their ports and waits until they answer, each with its
    /// last snapshot where it wrote one, or without data.
    ///
    /// # Errors
    /// Where one does not start.
    pub fn restart_all(&mut self, data: RestartData) -> Result<(), ServersError> {
        for node in &mut self.nodes {
            node.relaunch(&self.guard, data)?;
        }
        for node in &mut self.nodes {
            node.await_ready()?;
        }
        Ok(())
    }

    /// Waits until every node runs, agrees with the others that the cluster is ok,
    /// and every replica follows its master.
    ///
    /// # Errors
    /// [`ServersError::TimedOut`] with what was seen last, and
    /// [`ServersError::Ended`] where a node does not run.
    pub fn await_ok(&mut self, limit: Duration) -> Result<(), ServersError> {
        let count = self.nodes.len();
        for index in 0..count {
            let mut found = String::new();
            let ok = poll(limit, || {
                if let Some(ended) = self.nodes[index].process().ended() {
                    return Err(ended);
                }
                match settled(&self.nodes[index], count) {
                    Ok(None) => Ok(Some(())),
                    Ok(Some(why_not)) => {
                        found = why_not;
                        Ok(None)
                    }
                    Err(error) => {
                        found = error.to_string();
                        Ok(None)
                    }
                }
            })?;
            if ok.is_none() {
                let process = self.nodes[index].process();
                return Err(ServersError::TimedOut {
                    name: process.name().to_owned(),
                    expected: "see the whole cluster ok",
                    limit,
                    found,
                    log: process.log_tail(20),
                });
            }
        }
        Ok(())
    }
}
