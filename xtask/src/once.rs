//! `cargo xtask demo --once`: a sale sold out under load and checked, start to end.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use flashsale_servers::Launch;
use jiff::SignedDuration;

use crate::{
    http,
    project::{self, Profile},
    session::Session,
    setup::{self, Needs},
    stack::{Sale, Settings, Stack},
};

const OPENS_IN: SignedDuration = SignedDuration::from_secs(5);
/// A manifest of the developer's own may open later than the sample.
const OPEN_LIMIT: Duration = Duration::from_secs(120);

/// Runs the sample, or `manifest` as it is; an error where the sale was not sold out
/// or an invariant is broken.
pub fn run(session: &Session, manifest: Option<&Path>) -> Result<()> {
    let sale = Sale::of(manifest, OPENS_IN)?;
    setup::install_missing(session, Needs::Servers)?;
    project::build_product(session)?;
    sell_out(session, sale)
}

/// The sample, with everything installed and built.
pub fn run_built(session: &Session) -> Result<()> {
    sell_out(session, Sale::of(None, OPENS_IN)?)
}

fn sell_out(session: &Session, sale: Sale) -> Result<()> {
    let folder = project::output_folder("demo")?;
    let logs = project::output_folder("demo/once")?;
    let report = folder.join("report");
    let settings = Settings {
        sale,
        worker_threads: None,
        logs: &logs,
    };
    let mut stack = Stack::start(session, settings)?;
    let sale = stack.await_open(session, OPEN_LIMIT)?;

    session.say(format_args!("Selling out {sale}"));
    let result = load(session, &stack, &report).and_then(|()| {
        stack.check()?;
        check_sold_out(&stack, &sale)
    });
    stack.stop();
    result.with_context(|| format!("the logs are in {}", logs.display()))?;
    session.say(format_args!(
        "Sold out and checked; report: {}",
        report.display()
    ));
    Ok(())
}

/// Ends with an error where the load generator found an invariant broken.
fn load(session: &Session, stack: &Stack, report: &Path) -> Result<()> {
    let endpoints = stack.endpoints();
    let load = Launch::new(
        "flashsale-load",
        project::program(Profile::Release, "flashsale-load")?,
    )
    .inherit_output()
    .args(["--profile", "heavy", "--until-sold-out"])
    .args(["--target", &endpoints.api.join(",")])
    .args(["--postgres", &endpoints.postgres])
    .arg("--report")
    .arg(report);
    session.run(load)
}

/// Looks for itself, so that a generator that ends early and content is noticed.
fn check_sold_out(stack: &Stack, sale: &str) -> Result<()> {
    for api in &stack.endpoints().api {
        let (status, answer) = http::get(api, &format!("/sales/{sale}"))?;
        let number = |field: &str| answer.get(field).and_then(serde_json::Value::as_u64);
        let (total, sold) = (number("total_items"), number("items_sold"));
        anyhow::ensure!(
            status == 200 && total.is_some() && total == sold,
            "expected {api} to say that every item is sold, found status {status}: {answer}"
        );
    }
    Ok(())
}
