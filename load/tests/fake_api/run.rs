//! Runs in this process.

use clap::Parser;
use flashsale_load::args::Args;
use flashsale_load::clock::Clock;
use flashsale_load::report::summary::Summary;
use flashsale_load::run::interrupt::Interrupt;
use flashsale_load::run::plan::Plan;
use flashsale_load::{LoadError, execute};

pub fn plan(target: &str, flags: &str) -> Plan {
    let words = format!("flashsale-load --quiet --seed 1 --target {target} {flags}");
    let args = Args::try_parse_from(words.split_whitespace()).unwrap();
    args.plans(1).unwrap().remove(0)
}

pub fn run(plan: &Plan) -> Result<Summary, LoadError> {
    run_until(plan, std::future::pending())
}

/// Runs until `interrupted`, at most.
pub fn run_until(
    plan: &Plan,
    interrupted: impl Future<Output = ()> + 'static,
) -> Result<Summary, LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (sender, interrupt) = Interrupt::by_hand();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::task::spawn_local(async move {
            interrupted.await;
            sender.send_replace(true);
        });
        execute(plan, &interrupt, Clock::system()).await
    })
}

pub fn calls(summary: &Summary, endpoint: &str) -> u64 {
    let found = summary.endpoints.iter().find(|e| e.name == endpoint);
    found.map_or(0, |e| e.count)
}
