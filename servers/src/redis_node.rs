//! One Redis process with cluster mode on.

use std::{fs, net::TcpListener, path::PathBuf, time::Duration};

use crate::{
    Guard, ServersError, TestCertificates, ports,
    process::{Launch, Process, Signal},
    redis_call::call,
};

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How often another program may take the ports between our look and the start.
const PORT_TRIES: u32 = 5;
/// A node silent for this long is failed over. Short for tests; still twice what a
/// busy two-core machine keeps a healthy process waiting.
const NODE_TIMEOUT_MS: u32 = 2_000;
/// The file of a snapshot, in the folder of its node.
const SNAPSHOT: &str = "dump.rdb";

/// What a node that starts again holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartData {
    /// Nothing.
    None,
    /// What its last snapshot holds; nothing where it has none.
    Snapshot,
}

/// A node, running or not.
#[derive(Debug)]
pub(crate) struct Node {
    program: PathBuf,
    folder: PathBuf,
    ports: Ports,
    /// Those that it speaks TLS with, on a port beside the other.
    certificates: Option<TestCertificates>,
    announced: Option<u16>,
    process: Process,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    clients: u16,
    bus: u16,
    tls: u16,
}

/// Three ports that nobody else can take before the node starts.
#[derive(Debug)]
pub(crate) struct HeldPorts {
    clients: TcpListener,
    bus: TcpListener,
    tls: TcpListener,
}

impl HeldPorts {
    /// Those of `count` nodes, held all at once, so that no two nodes share one.
    pub(crate) fn of_nodes(count: usize) -> Result<Vec<Self>, ServersError> {
        let mut held = ports::hold(3 * count)?.into_iter();
        let of_node = || {
            Some(Self {
                clients: held.next()?,
                bus: held.next()?,
                tls: held.next()?,
            })
        };
        Ok(std::iter::from_fn(of_node).collect())
    }

    fn release(self) -> Ports {
        Ports {
            clients: ports::release(self.clients),
            bus: ports::release(self.bus),
            tls: ports::release(self.tls),
        }
    }
}

impl Node {
    /// Starts a process; `await_ready` tells whether it came up.
    pub(crate) fn launch(
        guard: &Guard,
        program: PathBuf,
        index: usize,
        ports: HeldPorts,
        certificates: Option<TestCertificates>,
    ) -> Result<Self, ServersError> {
        let folder = guard.folder().join(format!("redis-{index}"));
        fs::create_dir(&folder).map_err(ServersError::io("make a Redis node's folder"))?;
        let ports = ports.release();
        let process = guard.launch(&server(&program, &folder, ports, certificates.as_ref()))?;
        Ok(Self {
            program,
            folder,
            ports,
            certificates,
            announced: None,
            process,
        })
    }

    /// Waits until it answers, with other ports where another program took its own.
    pub(crate) fn await_first_ready(&mut self, guard: &Guard) -> Result<(), ServersError> {
        let mut tries = 1;
        loop {
            match self.await_ready() {
                Err(ServersError::Ended { log, .. })
                    if log.contains("Address already in use") && tries < PORT_TRIES =>
                {
                    tries += 1;
                    if let Some(free) = HeldPorts::of_nodes(1)?.pop() {
                        self.ports = free.release();
                    }
                    self.process = guard.launch(&self.server())?;
                }
                result => return result,
            }
        }
    }

    /// Kills it if it runs, starts it again on its ports without data, and waits until it answers.
    pub(crate) fn restart(&mut self, guard: &Guard) -> Result<(), ServersError> {
        self.relaunch(guard, RestartData::None)?;
        self.await_ready()
    }

    /// Kills it if it runs and starts it again on its ports.
    pub(crate) fn relaunch(
        &mut self,
        guard: &Guard,
        data: RestartData,
    ) -> Result<(), ServersError> {
        self.kill();
        let snapshot = self.folder.join(SNAPSHOT);
        // A replica keeps the copy that its master sent as a snapshot.
        if data == RestartData::None && snapshot.exists() {
            fs::remove_file(&snapshot).map_err(ServersError::io("remove a snapshot of Redis"))?;
        }
        self.process = guard.launch(&self.server())?;
        Ok(())
    }

    fn server(&self) -> Launch {
        let certificates = self.certificates.as_ref();
        let mut launch = server(&self.program, &self.folder, self.ports, certificates);
        for (setting, value) in self.announcement() {
            launch = launch.arg(format!("--{setting}")).arg(value);
        }
        launch
    }

    /// Announces another port than its own, from now on and when it starts again.
    pub(crate) fn announce(&mut self, port: u16) -> Result<(), ServersError> {
        self.announced = (port != self.ports.clients).then_some(port);
        for (setting, value) in self.announcement() {
            self.ask(&["CONFIG", "SET", setting, &value])?;
        }
        Ok(())
    }

    /// The settings of what it announces; none where that is its own.
    fn announcement(&self) -> Vec<(&'static str, String)> {
        let Some(port) = self.announced else {
            return Vec::new();
        };
        vec![
            ("cluster-announce-ip", "127.0.0.1".to_owned()),
            ("cluster-announce-port", port.to_string()),
            ("cluster-announce-bus-port", self.ports.bus.to_string()),
        ]
    }

    pub(crate) fn await_ready(&mut self) -> Result<(), ServersError> {
        let port = self.ports.clients;
        let mine = format!("process_id:{}", self.process.pid());
        self.process.await_state("answer", START_LIMIT, || {
            let info = call(port, &["INFO", "server"]).map_err(|error| error.to_string())?;
            // Where another program was quicker to take the port, that one answers.
            if info.lines().any(|line| line.trim() == mine) {
                Ok(())
            } else {
                Err("another server answers at its port".into())
            }
        })
    }

    /// Sends a command and returns the answer as text.
    pub(crate) fn ask(&self, words: &[&str]) -> Result<String, ServersError> {
        call(self.ports.clients, words).map_err(|source| ServersError::Redis {
            name: self.process.name().to_owned(),
            command: words.join(" "),
            source,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.announced_port())
    }

    pub(crate) fn announced_port(&self) -> u16 {
        self.announced.unwrap_or(self.ports.clients)
    }

    pub(crate) fn port(&self) -> u16 {
        self.ports.clients
    }

    /// The port that the nodes know each other by.
    pub(crate) fn cluster_port(&self) -> u16 {
        match self.certificates {
            Some(_) => self.ports.tls,
            None => self.announced_port(),
        }
    }

    /// The port for TLS; none where it speaks none.
    pub(crate) fn tls_port(&self) -> Option<u16> {
        self.certificates.as_ref().map(|_| self.ports.tls)
    }

    pub(crate) fn bus_port(&self) -> u16 {
        self.ports.bus
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    pub(crate) fn kill(&mut self) {
        self.process.stop(Signal::Kill, STOP_LIMIT);
    }
}

fn server(
    program: &PathBuf,
    folder: &PathBuf,
    ports: Ports,
    certificates: Option<&TestCertificates>,
) -> Launch {
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut launch = Launch::new(name, program).folder(folder);
    for (setting, value) in [
        ("port", ports.clients.to_string()),
        ("cluster-port", ports.bus.to_string()),
        ("bind", "127.0.0.1".into()),
        ("protected-mode", "yes".into()),
        ("cluster-enabled", "yes".into()),
        ("cluster-config-file", "nodes.conf".into()),
        ("cluster-node-timeout", NODE_TIMEOUT_MS.to_string()),
        // A shard without a master costs its own slots alone.
        ("cluster-require-full-coverage", "no".into()),
        ("maxmemory-policy", "noeviction".into()),
        ("save", String::new()),
        ("dbfilename", SNAPSHOT.into()),
        ("appendonly", "no".into()),
        // The default waits five seconds for more replicas before it sends a copy.
        ("repl-diskless-sync-delay", "0".into()),
        ("daemonize", "no".into()),
    ] {
        launch = launch.arg(format!("--{setting}")).arg(value);
    }
    if let Some(certificates) = certificates {
        let tls_port = ports.tls.to_string();
        for setting in ["tls-cluster", "tls-replication", "tls-auth-clients"] {
            launch = launch.arg(format!("--{setting}")).arg("yes");
        }
        launch = launch.arg("--tls-port").arg(tls_port);
        for (setting, file) in [
            ("tls-ca-cert-file", &certificates.authority),
            ("tls-cert-file", &certificates.server.certificate),
            ("tls-key-file", &certificates.server.key),
        ] {
            launch = launch.arg(format!("--{setting}")).arg(file);
        }
    }
    launch
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::programs::redis_server;

    #[test]
    fn a_node_that_another_redis_keeps_from_its_port_is_not_taken_for_it() {
        let guard = Guard::new().unwrap();
        let program = redis_server().unwrap();
        let node =
            |index, ports| Node::launch(&guard, program.clone(), index, ports, None).unwrap();
        let mut held = HeldPorts::of_nodes(2).unwrap().into_iter();
        let mut first = node(0, held.next().unwrap());
        first.await_ready().unwrap();

        // As if the port had been taken between our look and the start.
        let mut second = node(1, held.next().unwrap());
        second.kill();
        second.ports = first.ports;
        second.process = guard.launch(&second.server()).unwrap();
        let refused = second.await_ready().unwrap_err().to_string();
        assert!(refused.contains("Address already in use"), "{refused}");

        second.await_first_ready(&guard).unwrap();
        assert_ne!(second.port(), first.port());
        let info = second.ask(&["INFO", "server"]).unwrap();
        assert!(info.contains(&format!("process_id:{}", second.pid())));
    }
}
