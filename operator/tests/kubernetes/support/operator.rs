//! A running operator.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::LIMIT;

/// A running operator. Dropping it kills it.
pub struct Operator {
    child: Child,
    log: PathBuf,
}

impl Operator {
    /// Starts an operator for one namespace, which reaches the API server by a kubeconfig.
    pub fn start(
        namespace: &str,
        identity: &str,
        lease_seconds: u64,
        kubeconfig: &Path,
        log: PathBuf,
    ) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_flashsale-operator"))
            .args(["run", "--listen=127.0.0.1:0", "--api-image=shop:1"])
            .args(["--lease-namespace", namespace])
            .arg(format!("--lease-seconds={lease_seconds}"))
            .args(["--namespace", namespace, "--identity", identity])
            .env("KUBECONFIG", kubeconfig)
            .env("RUST_LOG", "info")
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; waits until it has ended, and answers its exit code.
    pub fn terminate(&mut self) -> i32 {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// A file of the folder of the process in /proc.
    pub fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// What a path of its own port answers.
    pub async fn ask(&self, path: &str) -> String {
        let begun = Instant::now();
        let address = loop {
            let log = self.log();
            let started = log.lines().find_map(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                Some(line.get("listen")?.as_str()?.to_owned())
            });
            match started {
                Some(address) => break address,
                None => assert!(begun.elapsed() < LIMIT, "it does not listen: {log}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        })
        .await
        .unwrap()
    }

    /// Whether it leads, by its metrics.
    pub async fn leads(&self) -> bool {
        let metrics = self.ask("/metrics").await;
        metrics.contains("\nflashsale_operator_leading 1")
    }

    pub async fn await_leading(&self, leads: bool) {
        let begun = Instant::now();
        while self.leads().await != leads {
            assert!(begun.elapsed() < LIMIT, "never leads: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
