//! `cargo xtask budget`: what the hot path costs in instructions and calls, beside the limits in
//! `budget.toml`. The numbers do not depend on the speed and the load of the machine.

mod callgrind;
mod limits;

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use flashsale_servers::in_path;

use crate::{
    project::{self, Profile},
    session::Session,
    setup,
};
use limits::{Limits, Measured};

/// The program that runs the cases. Its package has the features of tests: its time is paused.
const TARGET: [&str; 4] = ["-p", "flashsale-fakes", "--example", "budget"];
const FILE: &str = "budget.toml";

/// Measures, prints a table, and fails where a limit is exceeded; with `update` writes the limits.
pub fn run(session: &Session, update: bool) -> Result<()> {
    if in_path("valgrind").is_none() {
        setup::install(session, &["valgrind"])?;
    }
    session.say("Building the program of the budget (release)");
    project::build(session, Profile::Release, &TARGET)?;
    let program = project::program(Profile::Release, "examples/budget")?;
    let calls = count_calls(&program)?;
    session.say("Counting instructions with Callgrind");
    let measured = Limits::of(count_instructions(session, &program)?, calls);

    let file = project::root().join(FILE);
    let text = fs::read_to_string(&file).unwrap_or_default();
    let limits = Limits::parse(&text).context(FILE)?;
    let comparison = limits.compare(&measured);
    print!("{comparison}");
    if update {
        fs::write(&file, measured.to_string())
            .with_context(|| format!("could not write {FILE}"))?;
        session.say(format_args!("Wrote {FILE}"));
        return Ok(());
    }
    comparison.check()?;
    if comparison.has_loose_limits() {
        session.say("Some are below their limits: `cargo xtask budget --update` lowers the limits");
    }
    Ok(())
}

/// The instructions of each case.
fn count_instructions(session: &Session, program: &Path) -> Result<Measured> {
    let cases = printed_by(program, "cases")?;
    let cases = cases.lines();
    cases
        .map(|case| Ok((case.to_owned(), callgrind::count(session, program, case)?)))
        .collect()
}

/// What a request calls: the program prints a line `name number` for each kind of call.
fn count_calls(program: &Path) -> Result<Measured> {
    let printed = printed_by(program, "calls")?;
    let read = |line: &str| {
        let (name, number) = line.split_once(' ')?;
        Some((name.to_owned(), number.parse().ok()?))
    };
    let calls: Option<Measured> = printed.lines().map(read).collect();
    calls.with_context(|| format!("expected lines `name number`, found:\n{printed}"))
}

/// What the program prints with an argument; never nothing.
fn printed_by(program: &Path, argument: &str) -> Result<String> {
    let output = Command::new(program)
        .arg(argument)
        .output()
        .with_context(|| format!("could not run {}", program.display()))?;
    anyhow::ensure!(
        output.status.success() && !output.stdout.is_empty(),
        "expected `{} {argument}` to print lines; it ended with {}: {}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
