//! Finds which programs are missing and installs them from Debian's packages,
//! with a message. Programs that are there already are not touched.

use std::{
    path::Path,
    process::{Command, ExitStatus},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use flashsale_servers::{in_path, openssl, pgbouncer, postgres_programs, redis_server};

use crate::{session::Interrupted, session::Session, versions};

const POLL_PAUSE: Duration = Duration::from_millis(100);

/// What a command needs beside Cargo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Postgres and Redis.
    Servers,
    /// Those, PgBouncer, OpenSSL for certificates, and the Rust tools that check sources.
    QuickTests,
    /// Those, Python for the contract test, and Valgrind for the budget.
    Tests,
}

/// Installs everything that is needed and missing.
pub fn install_missing(session: &Session, needs: Needs) -> Result<()> {
    if needs != Needs::Servers {
        versions::check_rust_tools()?;
    }
    let missing = missing_packages(needs);
    if !missing.is_empty() {
        install(session, &missing)?;
        let left = missing_packages(needs);
        anyhow::ensure!(
            left.is_empty(),
            "installed {}, but still found no program of {}",
            missing.join(" "),
            left.join(" ")
        );
    }
    versions::check_redis()?;
    versions::check_postgres()?;
    match needs {
        Needs::Servers | Needs::QuickTests => Ok(()),
        Needs::Tests => versions::check_python(),
    }
}

fn missing_packages(needs: Needs) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if redis_server().is_err() {
        missing.push("redis-server");
    }
    if postgres_programs().is_err() {
        missing.push("postgresql");
    }
    if needs != Needs::Servers && pgbouncer().is_err() {
        missing.push("pgbouncer");
    }
    if needs != Needs::Servers && openssl().is_err() {
        missing.push("openssl");
    }
    if needs == Needs::Tests && !python_makes_venvs() {
        missing.extend(["python3", "python3-venv"]);
    }
    if needs == Needs::Tests && in_path("valgrind").is_none() {
        missing.push("valgrind");
    }
    missing
}

fn describe(package: &str) -> String {
    match package {
        "redis-server" => format!(
            "Redis {} or later (program redis-server)",
            versions::OLDEST_REDIS
        ),
        "postgresql" => format!(
            "PostgreSQL {} or later (programs postgres, initdb, createdb, psql)",
            versions::OLDEST_POSTGRES
        ),
        "python3" => {
            let (major, minor) = versions::OLDEST_PYTHON;
            format!("Python {major}.{minor} or later (program python3)")
        }
        "pgbouncer" => "PgBouncer (program pgbouncer)".into(),
        "valgrind" => "Valgrind (program valgrind)".into(),
        "openssl" => "OpenSSL (program openssl)".into(),
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

/// Installs Debian packages.
pub fn install(session: &Session, missing: &[&str]) -> Result<()> {
    let list = missing.join(" ");
    let root = is_root();
    let debian = Path::new("/etc/debian_version").exists() && in_path("apt-get").is_some();
    if !debian || !(root || in_path("sudo").is_some()) {
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
    install
        .args(["-c", include_str!("install.sh"), "install"])
        .args(missing);
    let status = finish(session, &mut install)?;
    session.check()?;
    // Where sudo has the terminal to itself, Ctrl-C reaches the script and not this program.
    if status.code() == Some(130) {
        return Err(Interrupted.into());
    }
    anyhow::ensure!(
        status.success(),
        "installing {list} failed ({status}); see above"
    );
    Ok(())
}

/// Whether this program may do everything.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Waits for the end of an installation, whatever comes.
fn finish(session: &Session, install: &mut Command) -> Result<ExitStatus> {
    let doing = "could not run the installation";
    let mut install = install.spawn().context(doing)?;
    let mut has_reported = false;
    loop {
        if let Some(status) = install.try_wait().context(doing)? {
            return Ok(status);
        }
        if session.is_interrupted() && !has_reported {
            has_reported = true;
            session.say("Interrupted; waiting for apt to finish what it has begun");
        }
        thread::sleep(POLL_PAUSE);
    }
}
