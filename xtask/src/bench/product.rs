//! The product under measurement, and what every measurement of it shares.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use flashsale_servers::PostgresSettings;
use jiff::SignedDuration;

use super::{
    accounting::Servers,
    load::{self, LoadRun, Loop},
};
use crate::{
    manifest::Manifest,
    project::Programs,
    session::Session,
    shop::Shop,
    stack::{BackendSettings, Sale, Settings, Stack},
};

/// References and API alike, unless a case varies it: two processes of one thread.
pub const PROCESSES: usize = 2;
const THREADS: usize = 1;
const OPENS_IN: SignedDuration = SignedDuration::from_secs(2);
/// A million items take their time to be seeded.
const OPEN_LIMIT: Duration = Duration::from_secs(180);
const SELL_OUT_LIMIT_SECONDS: &str = "120";

/// How many processes there are of a kind.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// Redis masters, with one replica each.
    pub redis_masters: usize,
    /// API processes.
    pub api_processes: usize,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            redis_masters: BackendSettings::default().redis_masters,
            api_processes: PROCESSES,
        }
    }
}

/// Starts the product, as nearly every measurement has it, and waits until its sale is open.
pub fn start_product(
    session: &Session,
    manifest: Manifest,
    items: u32,
    programs: &Programs,
    logs: &Path,
) -> Result<Stack> {
    start_counted(session, manifest, items, programs, logs, Counts::default())
}

/// The same with these counts of processes.
pub fn start_counted(
    session: &Session,
    manifest: Manifest,
    items: u32,
    programs: &Programs,
    logs: &Path,
    counts: Counts,
) -> Result<Stack> {
    let sale = selling(manifest, items, OPENS_IN);
    let mut stack = start(session, sale, programs, logs, counts)?;
    stack.await_open(session, OPEN_LIMIT)?;
    Ok(stack)
}

/// The same with a sale that opens so long after the servers are up.
pub fn start_closed(
    session: &Session,
    manifest: Manifest,
    items: u32,
    programs: &Programs,
    logs: &Path,
    opens_in: SignedDuration,
) -> Result<Stack> {
    let sale = selling(manifest, items, opens_in);
    start(session, sale, programs, logs, Counts::default())
}

fn selling(mut manifest: Manifest, items: u32, opens_in: SignedDuration) -> Sale {
    manifest.sell(items);
    Sale::Soon(manifest, opens_in)
}

fn start(
    session: &Session,
    sale: Sale,
    programs: &Programs,
    logs: &Path,
    counts: Counts,
) -> Result<Stack> {
    let settings = Settings {
        sale,
        api_processes: counts.api_processes,
        worker_threads: Some(THREADS),
        logs,
    };
    let backends = BackendSettings {
        postgres: PostgresSettings {
            count_statements: true,
            ..PostgresSettings::default()
        },
        redis_masters: counts.redis_masters,
    };
    Stack::start_with(session, settings, programs, backends)
}

/// The processes of a stack.
pub fn servers(stack: &Stack) -> Servers<'_> {
    Servers {
        api: stack.api_pids(),
        operators: vec![stack.operator_pid()],
        redis: stack.redis(),
        postgres: Some(stack.postgres()),
    }
}

/// Sells everything, so that all further checkouts are refused.
pub fn sell_out(session: &Session, targets: &[String]) -> Result<()> {
    let load = load::launch(targets)?
        .args(["--profile", "heavy", "--until-sold-out", "--quiet"])
        .args(["--duration", SELL_OUT_LIMIT_SECONDS]);
    session.run(load).context("selling out before the refusals")
}

/// Runs load and accounts for what it uses.
pub fn measured(session: &Session, servers: &Servers, run: &LoadRun) -> Result<Loop> {
    let (usage, load) = servers.measure(|| {
        let load = run.run(session)?;
        Ok((load.requests, load))
    })?;
    Ok(Loop { load, usage })
}
