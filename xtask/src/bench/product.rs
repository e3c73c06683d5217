//! The product under measurement, and what every measurement of it shares.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use flashsale_servers::PostgresSettings;
use jiff::SignedDuration;

use super::{
    accounting::Servers,
    load::{self, LoadRun},
    report::Loop,
};
use crate::{
    manifest::Manifest,
    project::Programs,
    session::Session,
    shop::Shop,
    stack::{Sale, Settings, Stack},
};

/// References and API alike: two processes of one thread.
pub const PROCESSES: usize = 2;
const THREADS: usize = 1;
const OPENS_IN: SignedDuration = SignedDuration::from_secs(2);
/// A million items take their time to be seeded.
const OPEN_LIMIT: Duration = Duration::from_secs(180);
const SELL_OUT_LIMIT_SECONDS: &str = "120";

/// Starts the product, as every measurement has it, and waits until its sale is open.
pub fn start_product(
    session: &Session,
    manifest: Manifest,
    items: u32,
    programs: &Programs,
    logs: &Path,
) -> Result<Stack> {
    let mut stack = start_closed(session, manifest, items, programs, logs, OPENS_IN)?;
    stack.await_open(session, OPEN_LIMIT)?;
    Ok(stack)
}

/// The same with a sale that opens so long after the servers are up.
pub fn start_closed(
    session: &Session,
    mut manifest: Manifest,
    items: u32,
    programs: &Programs,
    logs: &Path,
    opens_in: SignedDuration,
) -> Result<Stack> {
    manifest.sell(items);
    let settings = Settings {
        sale: Sale::Soon(manifest, opens_in),
        api_processes: PROCESSES,
        worker_threads: Some(THREADS),
        logs,
    };
    let postgres = PostgresSettings {
        count_statements: true,
        ..PostgresSettings::default()
    };
    Stack::start_with(session, settings, programs, postgres)
}

/// The processes of a stack.
pub fn servers(stack: &Stack) -> Servers<'_> {
    Servers {
        api: stack.api_pids(),
        operator: Some(stack.operator_pid()),
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
