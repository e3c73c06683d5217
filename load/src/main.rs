//! `flashsale-load`: see `flashsale-load --help`.

use std::fmt;
use std::process::ExitCode;

use clap::Parser;
use flashsale_load::args::{Args, Instead};
use flashsale_load::clock::Clock;
use flashsale_load::report::{files, table};
use flashsale_load::run::interrupt::{self, Interrupt};
use flashsale_load::run::plan::Plan;
use flashsale_load::{LoadError, execute};

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.instead {
        Some(Instead::Buy(buy)) => print_or_interrupt(buy.run(Clock::system())),
        Some(Instead::Fill(fill)) => print_or_interrupt(fill.run(Clock::system())),
        None => match args.plans(rand::random()) {
            Ok(plans) => run(&plans),
            Err(error) => error.exit(),
        },
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("flashsale-load: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn run(plans: &[Plan]) -> anyhow::Result<ExitCode> {
    for plan in plans {
        files::prepare(plan)?;
    }
    let interrupt = Interrupt::by_signals()?;
    let runtime = one_thread()?;
    let mut ends = Vec::new();
    for plan in plans {
        let local = tokio::task::LocalSet::new();
        let end = match local.block_on(&runtime, execute(plan, &interrupt, Clock::system())) {
            Ok(summary) => {
                println!("{}", table::text(&summary));
                for file in files::write(plan, &summary)? {
                    println!("report: {}", file.display());
                }
                if summary.is_fine() { "fine" } else { "FAILED" }
            }
            Err(LoadError::Interrupted) => "interrupted",
            Err(error) => {
                eprintln!("flashsale-load: {error:#}");
                "FAILED"
            }
        };
        ends.push(end);
        if interrupt.has_come() {
            break;
        }
    }
    if plans.len() > 1 {
        println!("\nIn all:");
        let ends = ends.iter().copied().chain(std::iter::repeat("not run"));
        for (plan, end) in plans.iter().zip(ends) {
            println!("{:<12}{end}", plan.profile.name());
        }
    }
    Ok(if interrupt.has_come() {
        interrupted()
    } else {
        ExitCode::from(u8::from(ends.iter().any(|end| *end != "fine")))
    })
}

/// Prints what came of it, unless a signal comes first.
fn print_or_interrupt<T: fmt::Display>(
    work: impl Future<Output = Result<T, LoadError>>,
) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::by_signals()?;
    one_thread()?.block_on(async {
        tokio::select! {
            done = work => {
                println!("{}", done?);
                Ok(ExitCode::SUCCESS)
            }
            () = interrupt.comes() => Ok(interrupted()),
        }
    })
}

/// The generator shares the machine with what it measures.
fn one_thread() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn interrupted() -> ExitCode {
    eprintln!("flashsale-load: interrupted");
    ExitCode::from(interrupt::EXIT_CODE)
}
