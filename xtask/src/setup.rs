//! Finds which programs are missing and installs them from Debian's packages,
//! saying so. What is there already is not touched.

use std::{env, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use flashsale_servers::{postgres_programs, redis_server};

use crate::session::Session;

const OLDEST_REDIS: u32 = 7;

/// What a command needs beside the Rust tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Postgres and Redis.
    Servers,
    /// Those, and Python for the contract test.
    ServersAndPython,
}

/// Sees to it that everything needed is there.
pub fn install_missing(session: &Session, needs: Needs) -> Result<()> {
    let missing = missing_packages(needs);
    if missing.is_empty() {
        return check_redis_version();
    }
    let list = missing.join(" ");
    let root = Path::new("/proc/self").metadata().is_ok_and(|this| {
        use std::os::unix::fs::MetadataExt;
        this.uid() == 0
    });
    let debian = Path::new("/etc/debian_version").exists() && in_path("apt-get");
    if !debian || !(root || in_path("sudo")) {
        bail!(
            "these are missing: {}.\n\
             They can only be installed automatically on Debian, as root or with sudo. \
             Debian calls them: {list}. Install them and run this command again; \
             their programs must be in PATH.",
            missing
                .iter()
                .map(|package| describe(package))
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    let sudo = if root { "" } else { " with sudo" };
    session.say(format_args!("Installing Debian packages{sudo}: {list}"));
    // In the foreground and unguarded: sudo asks for a password on the terminal, and
    // a package manager must not be killed half way.
    let mut install = if root {
        Command::new("sh")
    } else {
        Command::new("sudo")
    };
    if !root {
        install.arg("sh");
    }
    let status = install
        .args(["-c", include_str!("install.sh"), "install"])
        .args(&missing)
        .status()
        .context("could not run the installation")?;
    session.check()?;
    anyhow::ensure!(
        status.success(),
        "installing {list} failed ({status}); see above"
    );
    let left = missing_packages(needs);
    anyhow::ensure!(
        left.is_empty(),
        "installed {list}, but still found no program of {}",
        left.join(" ")
    );
    check_redis_version()
}

fn missing_packages(needs: Needs) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if redis_server().is_err() {
        missing.push("redis-server");
    }
    if postgres_programs().is_err() {
        missing.push("postgresql");
    }
    if needs == Needs::ServersAndPython && !python_makes_venvs() {
        missing.extend(["python3", "python3-venv"]);
    }
    missing
}

fn describe(package: &str) -> String {
    match package {
        "redis-server" => format!("Redis {OLDEST_REDIS} or later (program redis-server)"),
        "postgresql" => "PostgreSQL 15 or later (programs postgres, initdb, createdb, psql)".into(),
        "python3" => "Python 3.10 or later (program python3)".into(),
        "python3-venv" => "Python's modules venv and ensurepip".into(),
        other => other.to_owned(),
    }
}

fn python_makes_venvs() -> bool {
    Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .output()
        .is_ok_and(|output| output.status.success())
}

fn check_redis_version() -> Result<()> {
    let program = redis_server()?;
    let output = Command::new(&program)
        .arg("--version")
        .output()
        .with_context(|| format!("could not run {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.split_whitespace().find_map(|word| {
        word.strip_prefix("v=")?
            .split('.')
            .next()?
            .parse::<u32>()
            .ok()
    });
    match found {
        Some(version) if version >= OLDEST_REDIS => Ok(()),
        _ => bail!(
            "expected Redis {OLDEST_REDIS} or later, found `{}` ({}); \
             install a later redis-server or valkey-server and put it first in PATH",
            text.trim(),
            program.display()
        ),
    }
}

fn in_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
