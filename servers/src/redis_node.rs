//! One Redis process with cluster mode on.

use std::{fs, path::PathBuf, time::Duration};

use crate::{
    Guard, ServersError, ports,
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

/// A node, running or not.
#[derive(Debug)]
pub(crate) struct Node {
    program: PathBuf,
    folder: PathBuf,
    ports: Ports,
    process: Process,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    clients: u16,
    bus: u16,
}

impl Ports {
    fn free() -> Result<Self, ServersError> {
        let free = ports::release(ports::hold(2)?);
        Ok(Self {
            clients: free[0],
            bus: free[1],
        })
    }
}

impl Node {
    /// Starts a process; `await_ready` tells whether it came up.
    pub(crate) fn launch(
        guard: &Guard,
        program: PathBuf,
        index: usize,
    ) -> Result<Self, ServersError> {
        let folder = guard.folder().join(format!("redis-{index}"));
        fs::create_dir(&folder).map_err(ServersError::io("make a Redis node's folder"))?;
        let ports = Ports::free()?;
        let process = guard.launch(&server(&program, &folder, ports))?;
        Ok(Self {
            program,
            folder,
            ports,
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
                    self.ports = Ports::free()?;
                    self.process =
                        guard.launch(&server(&self.program, &self.folder, self.ports))?;
                }
                result => return result,
            }
        }
    }

    /// Kills it if it runs, starts it again on its ports, and waits until it answers.
    pub(crate) fn restart(&mut self, guard: &Guard) -> Result<(), ServersError> {
        self.kill();
        self.process = guard.launch(&server(&self.program, &self.folder, self.ports))?;
        self.await_ready()
    }

    fn await_ready(&mut self) -> Result<(), ServersError> {
        let port = self.ports.clients;
        self.process.await_state("answer PING", START_LIMIT, || {
            call(port, &["PING"])
                .map(drop)
                .map_err(|error| error.to_string())
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
        format!("redis://127.0.0.1:{}", self.ports.clients)
    }

    pub(crate) fn port(&self) -> u16 {
        self.ports.clients
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

fn server(program: &PathBuf, folder: &PathBuf, ports: Ports) -> Launch {
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
        ("maxmemory-policy", "noeviction".into()),
        ("save", String::new()),
        ("appendonly", "no".into()),
        // The default waits five seconds for more replicas before it sends a copy.
        ("repl-diskless-sync-delay", "0".into()),
        ("daemonize", "no".into()),
    ] {
        launch = launch.arg(format!("--{setting}")).arg(value);
    }
    launch
}
