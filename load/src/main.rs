//! `flashsale-load`: see `flashsale-load --help`.

use std::process::ExitCode;

use clap::Parser;
use flashsale_load::args::{Args, Plan};
use flashsale_load::{execute, write_reports};

fn main() -> ExitCode {
    let plan = Plan::from(Args::parse());
    match run(&plan) {
        Ok(fine) => ExitCode::from(u8::from(!fine)),
        Err(error) => {
            eprintln!("flashsale-load: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn run(plan: &Plan) -> anyhow::Result<bool> {
    // One thread: the generator shares the machine with what it measures.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let summary = tokio::task::LocalSet::new().block_on(&runtime, execute(plan))?;
    println!("{}", summary.table());
    for file in write_reports(plan, &summary)? {
        println!("report: {}", file.display());
    }
    Ok(summary.is_fine())
}
