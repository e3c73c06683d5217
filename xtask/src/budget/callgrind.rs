//! Counts the instructions of a case of a program with Valgrind's tool Callgrind, which counts in
//! one function of the program.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use flashsale_servers::Launch;

use crate::session::Session;

/// The function of `fakes/examples/budget` that runs a case, as Callgrind finds it in the symbols.
const MEASURED_FUNCTION: &str = "*budget_measured*";

/// Runs `program instructions CASE`, which prints how often it was counted; returns the
/// instructions of one time.
pub fn count(session: &Session, program: &Path, case: &str) -> Result<u64> {
    let folder = session.guard().folder().join("callgrind").join(case);
    fs::create_dir_all(&folder).context("could not make a folder for Callgrind")?;
    let printed = folder.join("printed.txt");
    let valgrind = Launch::new(format!("valgrind ({case})"), "valgrind")
        .args(["--quiet", "--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={MEASURED_FUNCTION}"))
        .arg("--callgrind-out-file=counts")
        .arg(program)
        .args(["instructions", case])
        .folder(&folder)
        .log(&printed);
    session.run(valgrind)?;
    let read = |file: &Path| {
        fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))
    };
    let printed = read(&printed)?;
    let times: Option<u64> = printed.lines().find_map(|line| line.parse().ok());
    let times = times.filter(|times| *times > 0).with_context(|| {
        format!("expected the case {case} to print a number, found:\n{printed}")
    })?;
    let counts = read(&folder.join("counts"))?;
    let total = instructions_of(&counts).with_context(|| {
        format!(
            "Callgrind counted nothing of {case}: expected the program to run it in a function \
             {MEASURED_FUNCTION}"
        )
    })?;
    Ok(total / times)
}

/// The number of instructions in a file of Callgrind.
fn instructions_of(text: &str) -> Option<u64> {
    let mut lines = text.lines();
    let total = lines.find_map(|line| line.strip_prefix("totals: "))?;
    total.trim().parse().ok().filter(|total| *total > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_and_a_run_that_counted_nothing_has_none() {
        let file = "version: 1\nevents: Ir\nsummary: 12\n\nfn=(1) budget\n3 12\n\ntotals: 12\n";
        assert_eq!(instructions_of(file), Some(12));
        assert_eq!(instructions_of("totals: 0\n"), None);
        assert_eq!(instructions_of("events: Ir\n"), None);
    }
}
