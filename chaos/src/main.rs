//! `cargo xtask chaos`: see its `--help`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser, error::ErrorKind};
use flashsale_chaos::args::{Args, NamedPlan};
use flashsale_chaos::plan::Scenario;
use flashsale_chaos::report::{RunRow, Table};
use flashsale_chaos::run::{Outcome, Run, play, quarter_of_highest_rate};
use flashsale_chaos::testbed::Programs;

fn main() -> ExitCode {
    let args = Args::parse();
    let plans = args.plans();
    if args.list {
        print_list(&plans);
        return ExitCode::SUCCESS;
    }
    if plans.is_empty() {
        let message = "expected --scenario NAME or --seed N; --list prints the scenarios";
        Args::command()
            .error(ErrorKind::MissingRequiredArgument, message)
            .exit();
    }
    // Two TLS libraries bring a provider each, and neither works without a choice. An error means
    // that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match play_all(&args, &plans) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print_list(plans: &[NamedPlan]) {
    for scenario in Scenario::ALL {
        println!("{:<26}{}", scenario.name(), scenario.about());
    }
    for NamedPlan { name, plan, .. } in plans {
        println!("\n{name}: a sale of {} s", plan.sale_seconds);
        for planned in &plan.faults {
            let (from_ms, to_ms) = (planned.at_ms, planned.ends_ms());
            println!("    {from_ms:>7} to {to_ms:>6} ms  {}", planned.fault);
        }
    }
}

/// Whether all runs are sound, those of the table that were left out included.
fn play_all(args: &Args, plans: &[NamedPlan]) -> Result<bool> {
    fs::create_dir_all(&args.folder)
        .with_context(|| format!("could not make {}", args.folder.display()))?;
    let mut table = Table::open(&args.folder)?;
    let programs = programs(args)?;
    let mut rate = args.rate;
    let mut all_sound = true;
    for named in plans {
        let known = table.find(&named.name, &args.revision);
        if let (true, Some(row)) = (args.resume, known) {
            println!("==> {} is in the table of runs already", named.name);
            all_sound &= row.is_sound;
            continue;
        }
        let rate = match rate {
            Some(rate) => rate,
            None => *rate.insert(quarter_of_highest_rate(&args.folder, &programs)?),
        };
        let folder = args.folder.join(&named.name);
        let outcome = play(&Run {
            plan: &named.plan,
            rate,
            seed: named.user_seed,
            programs: &programs,
            folder: &folder,
            drops_keys: args.without_keys,
        })
        .with_context(|| format!("{}; its logs are in {}", named.name, folder.display()))?;
        let row = row(args, named, &outcome);
        let is_good = outcome.is_sound() && (!args.goals || row.missed_goals().next().is_none());
        let word = if is_good { "sound" } else { "NOT SOUND" };
        println!("==> {}: {word}; {}", named.name, folder.display());
        all_sound &= is_good;
        table.push(row)?;
    }
    Ok(all_sound)
}

fn row(args: &Args, named: &NamedPlan, outcome: &Outcome) -> RunRow {
    let verdicts = outcome.verdicts.iter();
    RunRow {
        run: named.name.clone(),
        group: named.group.clone(),
        revision: args.revision.clone(),
        faults: named
            .plan
            .faults
            .iter()
            .map(|planned| planned.fault.to_string())
            .collect(),
        purchases: outcome.purchases,
        verdicts: verdicts
            .map(|numbered| {
                let word = numbered.verdict.finding.word();
                (numbered.number.to_owned(), word.to_owned())
            })
            .collect(),
        goals: outcome.goals.clone(),
        is_sound: outcome.is_sound(),
    }
}

/// The programs of the product: those beside this one unless others are named.
fn programs(args: &Args) -> Result<Programs> {
    let this = std::env::current_exe().context("could not find out where this program is")?;
    let beside = |name: &str| this.with_file_name(name);
    let program = |named: &Option<PathBuf>, name: &str| {
        let file = named.clone().unwrap_or_else(|| beside(name));
        anyhow::ensure!(
            file.is_file(),
            "expected the program {}, found none",
            file.display()
        );
        Ok(std::path::absolute(file)?)
    };
    Ok(Programs {
        api: program(&args.api, "flashsale-api")?,
        operator: program(&args.operator, "flashsale-operator")?,
    })
}
