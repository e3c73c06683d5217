//! Runs test programs, several at once.
//!
//! - A program that fails does not stop the others. Its log is printed; each log is also in
//!   `target/test/`.
//! - The tests of a program share its servers, so there is a process for each program and not one
//!   for each test: as many servers would have to start as there are tests.

use std::{
    collections::VecDeque,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use flashsale_servers::{Launch, Process, Signal};

use crate::{
    project,
    session::{STOP_LIMIT, Session},
    test_programs::TestProgram,
};

const PAUSE: Duration = Duration::from_millis(50);

/// A test program that runs.
struct Running {
    program: TestProgram,
    process: Process,
    begun: Instant,
}

/// Runs test programs to their ends; fails where one fails.
pub fn run(session: &Session, programs: Vec<TestProgram>) -> Result<()> {
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    let logs = project::output_folder("test")?;
    let count = programs.len();
    session.say(format_args!(
        "Running {count} test programs, {at_once} at once"
    ));
    let mut waiting = VecDeque::from(programs);
    let mut running: Vec<Running> = Vec::new();
    let (mut passed, mut failed) = (0, Vec::new());
    loop {
        while running.len() < at_once
            && let Some(program) = waiting.pop_front()
        {
            running.push(start(session, program, &logs)?);
        }
        if running.is_empty() {
            break;
        }
        if let Err(interrupted) = session.check() {
            stop(running);
            return Err(interrupted);
        }
        let Some((index, success)) = find_ended(&mut running) else {
            thread::sleep(PAUSE);
            continue;
        };
        let ended = running.swap_remove(index);
        let log = log_of(&ended.process)?;
        let seconds = ended.begun.elapsed().as_secs_f64();
        match passed_tests(&log) {
            Some(tests) if success => {
                passed += tests;
                println!("    {}: {tests} passed in {seconds:.1} s", ended.program);
            }
            _ => {
                println!("{log}\n    {}: FAILED in {seconds:.1} s", ended.program);
                failed.push(ended.program.to_string());
            }
        }
    }
    anyhow::ensure!(
        failed.is_empty(),
        "{} of {count} test programs failed: {}; see their output above or in {}",
        failed.len(),
        failed.join("; "),
        logs.display()
    );
    session.say(format_args!("{passed} tests passed"));
    Ok(())
}

fn start(session: &Session, program: TestProgram, logs: &Path) -> Result<Running> {
    let name = program.process_name();
    let log = logs.join(format!("{name}-{}.log", program.kind()));
    // The log of an earlier run.
    let _ = fs::remove_file(&log);
    let launch = project::without_xtask(Launch::new(name, &program.executable))
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .folder(&program.folder)
        .log(log);
    Ok(Running {
        process: session.guard().launch(&launch)?,
        program,
        begun: Instant::now(),
    })
}

/// The first that has ended, and whether with success.
fn find_ended(running: &mut [Running]) -> Option<(usize, bool)> {
    let mut each = running.iter_mut().enumerate();
    each.find_map(|(index, running)| Some((index, running.process.status()?.success())))
}

fn stop(mut running: Vec<Running>) {
    for one in &mut running {
        one.process.signal(Signal::Terminate);
    }
    for mut one in running {
        one.process.stop(Signal::Terminate, STOP_LIMIT);
    }
}

fn log_of(process: &Process) -> Result<String> {
    let file = process.log().context("a test program has a log")?;
    let bytes = fs::read(file).with_context(|| format!("could not read {}", file.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// How many tests passed, from the last lines of a test program; `None` where it did not come to
/// its end.
fn passed_tests(log: &str) -> Option<u64> {
    let results = log.lines().rev();
    let result = results
        .filter_map(|line| line.split_once("test result: "))
        .map(|(_, result)| result)
        .next()?;
    let passed = result.strip_prefix("ok. ")?.split(' ').next()?;
    passed.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_breaks_off_has_not_passed() {
        let end = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured";
        assert_eq!(
            passed_tests(&format!("test a ... ok\n\n{end}\n\n")),
            Some(12)
        );
        let failed = "test result: FAILED. 11 passed; 1 failed; 0 ignored";
        assert_eq!(passed_tests(failed), None);
        assert_eq!(passed_tests("running 12 tests\ntest a ... ok\n"), None);
        assert_eq!(passed_tests(""), None);
    }
}
