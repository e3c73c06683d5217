//! `kubectl` with the kubeconfig of one cluster.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use flashsale_servers::{Launch, go_program};

use super::output;
use crate::session::Session;

/// See the module.
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// For the cluster of `kubeconfig`; builds kubectl first where it is not cached.
    pub fn new(kubeconfig: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self {
            program: go_program("kubectl")?,
            kubeconfig: kubeconfig.into(),
        })
    }

    /// The file that says which cluster it is, and who asks.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Its version, which is that of all programs of Kubernetes here.
    pub fn version(&self) -> Result<String> {
        let printed = self.output(&["version", "--client", "-o", "json"])?;
        let printed: serde_json::Value = serde_json::from_str(&printed)?;
        let version = printed.pointer("/clientVersion/gitVersion");
        let version = version.and_then(serde_json::Value::as_str);
        version
            .map(str::to_owned)
            .context("kubectl did not tell its version")
    }

    /// Runs it with its output on the terminal; anything but success is an error.
    pub fn run(&self, session: &Session, args: &[&str]) -> Result<()> {
        session.run(self.launch(args).inherit_output())
    }

    /// A call of it, to be run under a guard.
    pub fn launch(&self, args: &[&str]) -> Launch {
        // The name is also that of a log's file.
        let name = format!("kubectl-{}", args.first().unwrap_or(&""));
        Launch::new(name, &self.program)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(args)
    }

    /// Applies a text.
    pub fn apply(&self, session: &Session, name: &str, text: &str) -> Result<()> {
        let file = session.guard().folder().join(format!("{name}.yaml"));
        std::fs::write(&file, text).context("could not write a manifest")?;
        self.output(&["apply", "--server-side", "-f", path(&file)?])
            .map(drop)
    }

    /// What it prints; anything but success is an error with what it said.
    pub fn output(&self, args: &[&str]) -> Result<String> {
        output(
            Command::new(&self.program)
                .arg("--kubeconfig")
                .arg(&self.kubeconfig)
                .arg("--request-timeout=20s")
                .args(args),
        )
    }
}

fn path(file: &Path) -> Result<&str> {
    file.to_str().context("a file's name is not UTF-8")
}
