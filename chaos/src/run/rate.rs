//! The arrival rate of runs: a quarter of the highest rate that this machine sustains, measured once.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Parser;
use flashsale_load::args::Args;
use flashsale_load::clock::Clock;
use flashsale_load::execute;
use flashsale_load::run::interrupt::Interrupt;
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

use super::play::one_thread;
use crate::plan::Plan;
use crate::testbed::{Programs, Settings, Testbed};

/// Enough for a staircase of a minute and a half.
const ITEMS: u32 = 200_000;
const SALE_SECONDS: u32 = 180;
const STAIRCASE_SECONDS: u32 = 90;
const FILE: &str = "rate.json";

/// What is kept of the measurement.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    /// Calls per second that were sustained without faults.
    highest_rate: f64,
}

/// The rate, from `folder` where it was measured before.
///
/// # Errors
/// Where the measurement fails, or its result cannot be kept.
pub fn quarter_of_highest_rate(folder: &Path, programs: &Programs) -> Result<f64> {
    let file = folder.join(FILE);
    let kept = fs::read_to_string(&file).ok();
    let kept = kept.and_then(|text| serde_json::from_str::<Measured>(&text).ok());
    let measured = match kept {
        Some(measured) => measured,
        None => {
            let measured = measure(folder, programs)?;
            let text = serde_json::to_string_pretty(&measured)?;
            fs::write(&file, text + "\n").context("the highest rate")?;
            measured
        }
    };
    println!(
        "==> {:.0} calls/s is the highest rate that was sustained ({}); runs have a quarter of it",
        measured.highest_rate,
        file.display()
    );
    Ok(measured.highest_rate / 4.0)
}

fn measure(folder: &Path, programs: &Programs) -> Result<Measured> {
    println!("==> Measuring the highest rate, {STAIRCASE_SECONDS} s at most");
    let plan = Plan {
        name: "rate".to_owned(),
        sale_seconds: SALE_SECONDS,
        items: Some(ITEMS),
        sold_before: 0,
        fewest_purchases: 0,
        faults: Vec::new(),
    };
    let logs = folder.join("rate");
    fs::create_dir_all(&logs).context("the folder of the measurement")?;
    let testbed = Testbed::start(&Settings {
        plan: &plan,
        items: ITEMS,
        programs,
        logs: &logs,
    })?;
    let targets = testbed.api.urls().join(",");
    let duration = STAIRCASE_SECONDS.to_string();
    let words = [
        "flashsale-load",
        "--profile",
        "stress",
        "--quiet",
        "--seed",
        "1",
    ];
    let words = words
        .into_iter()
        .chain(["--target", &targets, "--duration", &duration]);
    let args = Args::try_parse_from(words.chain(["--postgres", ""]))?;
    let plans = args.plans(1)?;
    let plan = plans.first().context("the plan of the measurement")?;
    let (_never, interrupt) = Interrupt::by_hand();
    let run = execute(plan, &interrupt, Clock::system());
    let summary = LocalSet::new().block_on(&one_thread()?, run)?;
    let sustained = match (&summary.knee, summary.rate_steps.as_slice()) {
        (Some(knee), _) => knee.held_rate,
        (None, [.., last]) => last.rate,
        (None, []) => 0.0,
    };
    anyhow::ensure!(
        sustained > 0.0,
        "expected a rate that is sustained, found none"
    );
    Ok(Measured {
        highest_rate: sustained,
    })
}
