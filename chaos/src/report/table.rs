//! The table of runs: one JSON line for each in `runs.jsonl`, from which `runs.md` is made. A run
//! that is in it need not be made again. A second table has the worst figures of the runs of each
//! scenario.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::run_row::RunRow;
use super::worst;

/// The table of a folder.
pub struct Table {
    lines: PathBuf,
    markdown: PathBuf,
    rows: Vec<RunRow>,
}

impl Table {
    /// Reads the table of a folder; empty where there is none.
    ///
    /// # Errors
    /// Where a line cannot be read.
    pub fn open(folder: &Path) -> Result<Self> {
        let lines = folder.join("runs.jsonl");
        let text = fs::read_to_string(&lines).unwrap_or_default();
        let rows = text.lines().map(serde_json::from_str);
        let rows = rows
            .collect::<Result<_, _>>()
            .with_context(|| format!("a line of {}", lines.display()))?;
        Ok(Self {
            lines,
            markdown: folder.join("runs.md"),
            rows,
        })
    }

    /// The row of a run of this revision.
    #[must_use]
    pub fn find(&self, run: &str, revision: &str) -> Option<&RunRow> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.run == run && row.revision == revision)
    }

    /// Appends a run.
    ///
    /// # Errors
    /// Where the files cannot be written.
    pub fn push(&mut self, row: RunRow) -> Result<()> {
        let line = serde_json::to_string(&row)?;
        self.rows.push(row);
        File::options()
            .create(true)
            .append(true)
            .open(&self.lines)
            .and_then(|mut file| writeln!(file, "{line}"))
            .with_context(|| format!("could not write {}", self.lines.display()))?;
        let text = format!("{}\n{}", markdown(&self.rows), worst::markdown(&self.rows));
        fs::write(&self.markdown, text)
            .with_context(|| format!("could not write {}", self.markdown.display()))
    }
}

fn markdown(rows: &[RunRow]) -> String {
    let numbers = rows.last().map(|row| row.verdicts.iter());
    let numbers: Vec<&str> = numbers
        .into_iter()
        .flatten()
        .map(|(number, _)| number.as_str())
        .collect();
    let heads = numbers.join(" | ");
    let mut text = format!("| run | revision | faults | purchases | {heads} | missed goals |\n|");
    text.push_str(&"---|".repeat(numbers.len() + 5));
    text.push('\n');
    for row in rows {
        let found = row.verdicts.iter().map(|(_, finding)| finding.as_str());
        let found: Vec<&str> = found.collect();
        let missed = row.missed_goals().map(|goal| {
            let value = goal.value.unwrap_or_default();
            format!("{} {value:.2} {}", goal.name, goal.unit)
        });
        let missed: Vec<String> = missed.collect();
        let (faults, missed) = (row.faults.join("; "), missed.join("; "));
        text.push_str(&format!(
            "| {} | {} | {faults} | {} | {} | {missed} |\n",
            row.run,
            row.revision,
            row.purchases,
            found.join(" | ")
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::judge::Goal;

    fn row(run: &str) -> RunRow {
        RunRow {
            run: run.to_owned(),
            group: "seed-60s".to_owned(),
            revision: "abc".to_owned(),
            faults: vec!["FLUSHALL".to_owned(), "killed operator".to_owned()],
            purchases: 2_345,
            verdicts: vec![("1".to_owned(), "held".to_owned())],
            goals: vec![Goal {
                fault: "FLUSHALL".to_owned(),
                name: "selling".into(),
                value: Some(2.5),
                unit: "s".into(),
                limit: Some(2.0),
            }],
            is_sound: true,
        }
    }

    #[test]
    fn a_run_that_is_in_the_table_is_found_again_by_its_revision() {
        let guard = flashsale_servers::Guard::new().unwrap();
        let mut table = Table::open(guard.folder()).unwrap();
        table.push(row("seed-1")).unwrap();
        table.push(row("seed-2")).unwrap();
        let table = Table::open(guard.folder()).unwrap();
        assert_eq!(table.find("seed-2", "abc"), Some(&row("seed-2")));
        assert_eq!(table.find("seed-2", "def"), None);
        assert_eq!(table.find("seed-3", "abc"), None);
        let markdown = fs::read_to_string(guard.folder().join("runs.md")).unwrap();
        let runs = markdown.split("\n\n").next().unwrap();
        assert_eq!(runs.lines().count(), 4);
        let line = "| seed-1 | abc | FLUSHALL; killed operator | 2345 | held | selling 2.50 s |";
        assert!(runs.contains(line), "{markdown}");
    }
}
