//! Checks the structure and the words of the repository; `tidy.toml` holds what is checked.
//!
//! Exit codes: 0 nothing found, 1 findings, 2 the check could not be made.

mod circles;
mod clock;
mod code;
mod commits;
mod dependencies;
mod finding;
mod glossary;
mod layers;
mod lengths;
mod modules;
mod packages;
mod prose;
mod references;
mod rules;
mod syntax;
#[cfg(test)]
mod tests;
mod tokens;
mod tree;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::code::Code;
use crate::commits::History;
use crate::finding::Finding;
use crate::glossary::Glossary;
use crate::rules::Rules;
use crate::tree::Tree;

fn main() -> ExitCode {
    match run() {
        Ok(findings) if findings.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Checks the work tree around the current folder, and prints what is found.
fn run() -> Result<Vec<Finding>> {
    let root = tree::git(Path::new("."), &["rev-parse", "--show-toplevel"])?;
    let root = Path::new(root.trim_end());
    let tree = Tree::read(root)?;
    let (rules, glossary) = (rules::read(&tree)?, glossary::read(&tree)?);
    let mut findings = check(&tree, &rules, &glossary);
    let history = commits::read(root, &rules.commits)?;
    findings.extend(commits::check(&history, &rules.commits));
    for finding in &findings {
        println!("{finding}");
    }
    if let History::Shallow(commits) = &history {
        println!(
            "This clone is shallow: only its newest commits ({}) were checked; `git fetch --unshallow` gets the others.",
            commits.len()
        );
    }
    println!("{}", counts(&findings));
    Ok(findings)
}

/// Applies all rules but that for commits, in the order of the files.
fn check(tree: &Tree, rules: &Rules, glossary: &Glossary) -> Vec<Finding> {
    let (code, mut findings) = Code::read(tree);
    findings.extend(dependencies::check(&code, rules));
    findings.extend(layers::check(&code, rules));
    findings.extend(circles::check(&code));
    findings.extend(clock::check(&code, rules));
    findings.extend(lengths::check(&code, rules));
    findings.extend(glossary::check(&code, glossary));
    findings.sort();
    findings
}

fn counts(findings: &[Finding]) -> String {
    let counts = finding::counts(findings).into_iter();
    let counts: Vec<String> = counts
        .map(|(rule, count)| format!("{} {count}", rule.name()))
        .collect();
    format!("tidy: {} findings: {}", findings.len(), counts.join(", "))
}
