//! The script of `k8s/dev` that joins Redis nodes, with six real ones on loopback addresses of
//! their own: a pod that comes back has another address, and may have lost its data.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use flashsale_servers::{Guard, Launch, Process, Signal, redis_server};

/// Failed nodes are noticed after five seconds, and a new master is elected after some more.
const LIMIT: Duration = Duration::from_secs(90);
/// What the manifest says, and the script's commands.
const PORT: u16 = 6379;

/// Stands for the name service of the cluster: the file `addresses` has a line for each node.
const GETENT: &str = r#"#!/bin/sh
index=${2#flashsale-redis-}
sed -n "$((${index%%.*} + 1))s/$/ STREAM/p" "${0%/*}/addresses"
"#;

struct Pods {
    // Before the processes: fields are dropped in order.
    guard: Guard,
    nodes: Vec<(Ipv4Addr, Process)>,
    join: Process,
}

impl Pods {
    fn start() -> Self {
        let guard = Guard::new().unwrap();
        let getent = guard.folder().join("getent");
        fs::write(&getent, GETENT).unwrap();
        fs::set_permissions(&getent, fs::Permissions::from_mode(0o755)).unwrap();
        let nodes = (0..6).map(|index| node(&guard, index)).collect();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../k8s/dev/redis-join.sh");
        let path = format!(
            "{}:{}",
            guard.folder().display(),
            std::env::var("PATH").unwrap()
        );
        let launch = Launch::new("join", "sh")
            .arg(script)
            .arg(guard.folder().join("joined"))
            // Twenty looks are its patience: on a busy machine a master is replaced within some ten
            // seconds here.
            .arg("1")
            .env("PATH", path);
        let join = guard.launch(&launch).unwrap();
        let pods = Self { guard, nodes, join };
        pods.publish();
        pods
    }

    /// What a deleted pod does: it ends, and comes back elsewhere.
    fn replace(&mut self, index: usize, with_data: bool) {
        let (_, process) = &mut self.nodes[index];
        process.stop(Signal::Kill, Duration::from_secs(5));
        if !with_data {
            let folder = self.guard.folder().join(format!("redis-{index}"));
            fs::remove_dir_all(folder).unwrap();
        }
        self.nodes[index] = node(&self.guard, index);
        self.publish();
    }

    fn publish(&self) {
        let lines: String = self
            .nodes
            .iter()
            .map(|(address, _)| format!("{address}\n"))
            .collect();
        // All of the old or all of the new.
        let partial = self.guard.folder().join("addresses.partial");
        fs::write(&partial, lines).unwrap();
        fs::rename(&partial, self.guard.folder().join("addresses")).unwrap();
    }

    fn ask(&self, index: usize, words: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-h", &self.nodes[index].0.to_string()])
            .args(words)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Writes what must not be lost, and waits until a replica has it: what is only in a master
    /// goes with it.
    fn keep(&self, value: &str) {
        let deadline = Instant::now() + LIMIT;
        let lines = format!("set kept {value}\nwait 1 1000\n");
        let input = self.guard.folder().join("keep");
        fs::write(&input, lines).unwrap();
        loop {
            let output = Command::new("redis-cli")
                .args(["-h", &self.nodes[0].0.to_string(), "-c"])
                .stdin(fs::File::open(&input).unwrap())
                .output()
                .unwrap();
            let answer = String::from_utf8(output.stdout).unwrap();
            if answer.contains("OK") && answer.trim_end().ends_with('1') {
                return;
            }
            assert!(Instant::now() < deadline, "no replica has it: {answer}");
        }
    }

    /// Every node sees three masters and three replicas where the pods are now, and nobody else.
    fn await_whole(&self, after: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let joined = self.guard.folder().join("joined").exists();
            let views: Vec<String> = (0..6)
                .map(|index| self.ask(index, &["cluster", "nodes"]))
                .collect();
            let ok = |index| {
                self.ask(index, &["cluster", "info"])
                    .contains("cluster_state:ok")
            };
            if joined && views.iter().all(|view| self.is_whole(view)) && (0..6).all(ok) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "expected a whole cluster {after}; joined: {joined}; {views:#?}\n{}",
                self.join.log_tail(40)
            );
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn assert_kept(&self, value: &str) {
        let found = self.ask(1, &["-c", "get", "kept"]);
        assert_eq!(found.trim_end(), value, "{}", self.join.log_tail(60));
    }

    fn is_whole(&self, view: &str) -> bool {
        let has = |words: &str, count| view.matches(words).count() == count;
        let here = |(address, _): &(Ipv4Addr, Process)| has(&format!(" {address}:"), 1);
        view.lines().count() == 6
            && self.nodes.iter().all(here)
            && has("master - ", 3)
            && has("slave ", 3)
            && has(" connected", 6)
            // What each master owns.
            && view.lines().filter(|line| line.split(' ').count() > 8).count() == 3
            && !view.contains("fail")
    }
}

fn node(guard: &Guard, index: usize) -> (Ipv4Addr, Process) {
    let address = free_address();
    let folder = guard.folder().join(format!("redis-{index}"));
    fs::create_dir_all(&folder).unwrap();
    let launch = Launch::new(format!("redis-{index}-log"), redis_server().unwrap())
        .args(["--bind", &address.to_string()])
        .args(["--port", &PORT.to_string()])
        .args(["--cluster-enabled", "yes"])
        .args(["--cluster-config-file", "nodes.conf"])
        .args(["--cluster-node-timeout", "2000"])
        .args(["--cluster-require-full-coverage", "no"])
        .args(["--cluster-announce-ip", &address.to_string()])
        .args([
            "--protected-mode",
            "no",
            "--save",
            "",
            "--appendonly",
            "yes",
        ])
        .args(["--repl-diskless-sync-delay", "0"])
        .folder(folder);
    (address, guard.launch(&launch).unwrap())
}

/// An address of the loopback network that nobody listens at.
fn free_address() -> Ipv4Addr {
    let random = RandomState::new();
    (0_u32..)
        .map(|attempt| {
            let [a, b, c, ..] = random.hash_one(attempt).to_le_bytes();
            Ipv4Addr::new(127, a, b, c.clamp(1, 254))
        })
        .find(|address| {
            let free = |port| TcpListener::bind((*address, port)).is_ok();
            free(PORT) && free(PORT + 10_000)
        })
        .unwrap()
}

#[test]
fn six_nodes_become_a_cluster_and_stay_one_whoever_comes_back() {
    let mut pods = Pods::start();
    pods.await_whole("at the start");
    pods.keep("yes");

    let master = (0..6)
        .find(|index| pods.ask(*index, &["role"]).starts_with("master"))
        .unwrap();
    pods.replace(master, false);
    pods.await_whole("after a master came back empty");
    pods.assert_kept("yes");

    for index in 0..6 {
        pods.replace(index, true);
    }
    pods.await_whole("after all came back at other addresses with their data");
    pods.assert_kept("yes");

    // With the replica of some master among them.
    for index in 0..4 {
        pods.replace(index, false);
    }
    pods.await_whole("after most came back empty");
}
