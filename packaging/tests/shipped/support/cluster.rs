//! A real API server, and Helm that works on it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use flashsale_servers::KubeApi;
use serde_json::Value;

use super::helm::{helm, text_of};
use super::project::root;

/// How long the API server may take to see what it was just told.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(100);

pub struct Cluster {
    api: KubeApi,
}

impl Cluster {
    pub fn start() -> Self {
        let api = KubeApi::start().unwrap_or_else(|error| panic!("{error}"));
        Self { api }
    }

    /// `helm`, with the words of a command line, from the root of the tree.
    pub fn helm(&self, words: &str) -> Result<String, String> {
        let mut helm = helm();
        helm.args(words.split_whitespace())
            .arg("--kubeconfig")
            .arg(self.api.kubeconfig());
        text_of(helm.output().expect("helm runs"))
    }

    /// `kubectl`, with the words of a command line, from the root of the tree.
    pub fn kubectl(&self, words: &str) -> Result<String, String> {
        text_of(self.command(words).output().expect("kubectl runs"))
    }

    /// What `kubectl get -o json` shows.
    pub fn get(&self, words: &str) -> Result<Value, String> {
        let text = self.kubectl(&format!("get -o json {words}"))?;
        Ok(serde_json::from_str(&text).unwrap())
    }

    /// Hands a manifest to `kubectl` and returns all that it says, warnings too.
    pub fn hand_in(&self, words: &str, manifest: &str) -> Result<String, String> {
        let mut kubectl = self.command(words);
        let mut kubectl = kubectl
            .args(["--filename", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl runs");
        let mut into = kubectl.stdin.take().unwrap();
        into.write_all(manifest.as_bytes()).unwrap();
        drop(into);
        let output = kubectl.wait_with_output().unwrap();
        let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(text_of(output)? + &warnings)
    }

    /// Waits until something is so.
    pub fn until<T>(&self, what: &str, mut find: impl FnMut() -> Result<T, String>) -> T {
        let deadline = Instant::now() + SEEN_WITHIN;
        loop {
            match find() {
                Ok(seen) => return seen,
                Err(error) => assert!(Instant::now() < deadline, "{what}: {error}"),
            }
            thread::sleep(POLL_EVERY);
        }
    }

    /// Installs the definition of FlashSales, and waits until they can be made.
    pub fn define_flash_sales(&self) {
        self.kubectl("apply -f crds").unwrap();
        self.await_definition();
    }

    pub fn await_definition(&self) {
        self.kubectl("wait --for=condition=Established --timeout=30s crd/flashsales.flashsale.dev")
            .unwrap();
        // It is established a moment before it is served.
        self.until("FlashSales are served", || self.get("flashsales"));
    }

    fn command(&self, words: &str) -> Command {
        let mut kubectl = self.api.kubectl();
        kubectl.args(words.split_whitespace()).current_dir(root());
        kubectl
    }
}

/// A copy of the chart with changes: in this file, this text becomes that one.
pub fn changed_chart(into: &Path, changes: &[(&str, &str, &str)]) -> PathBuf {
    let chart = into.join("flashsale");
    copy(&root().join("charts/flashsale"), &chart);
    for (file, from, to) in changes {
        let path = chart.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}: {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    }
    chart
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(path, to).unwrap();
        }
    }
}
