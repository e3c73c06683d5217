//! Subjects of commits are short and stand alone.

use std::path::Path;

use anyhow::Result;

use crate::finding::{Finding, Rule};
use crate::rules::{self, CommitRule};
use crate::tree::git;

/// A commit after the base.
#[derive(Debug)]
pub struct Commit {
    /// Its abbreviated hash.
    pub id: String,
    pub subject: String,
}

/// What the history of a work tree holds after the base.
#[derive(Debug)]
pub enum History {
    /// All commits since the base; merges are left out, their subjects are Git's.
    Whole(Vec<Commit>),
    /// The clone is shallow and ends before the base. All commits that it has come after the base.
    Shallow(Vec<Commit>),
    /// The base is not an ancestor of what is checked out.
    WithoutBase,
}

/// Reads the history.
pub fn read(root: &Path, rule: &CommitRule) -> Result<History> {
    let is_ancestor = git(root, &["merge-base", "--is-ancestor", &rule.base, "HEAD"]).is_ok();
    if is_ancestor {
        return Ok(History::Whole(log(root, &format!("{}..HEAD", rule.base))?));
    }
    if git(root, &["rev-parse", "--is-shallow-repository"])?.trim() == "true" {
        return Ok(History::Shallow(log(root, "HEAD")?));
    }
    Ok(History::WithoutBase)
}

fn log(root: &Path, range: &str) -> Result<Vec<Commit>> {
    let log = git(root, &["log", "--no-merges", "--format=%h%x09%s", range])?;
    let commits = log.lines().filter_map(|line| {
        let (id, subject) = line.split_once('\t')?;
        Some(Commit {
            id: id.to_owned(),
            subject: subject.to_owned(),
        })
    });
    Ok(commits.collect())
}

/// Checks the subjects.
pub fn check(history: &History, rule: &CommitRule) -> Vec<Finding> {
    let commits = match history {
        History::Whole(commits) | History::Shallow(commits) => commits,
        History::WithoutBase => {
            let text = format!(
                "the base commit {} is no ancestor of HEAD; name the last commit that the rule does not apply to",
                rule.base
            );
            return vec![Finding::new(Rule::RulesFile, rules::PATH, 1, text)];
        }
    };
    let findings = commits.iter().filter_map(|commit| {
        let fault = fault(&commit.subject, rule.max_characters)?;
        let text = format!(
            "{fault}: \"{}\"; reword the commit (git rebase --interactive)",
            commit.subject
        );
        Some(Finding::new(Rule::Commit, &commit.id, 1, text))
    });
    findings.collect()
}

fn fault(subject: &str, max: usize) -> Option<String> {
    let length = subject.chars().count();
    if subject.trim().is_empty() {
        Some("expected a subject, found none".to_owned())
    } else if length > max {
        Some(format!("{length} characters, expected at most {max}"))
    } else if subject.ends_with('.') {
        Some("expected a subject without a full stop at its end".to_owned())
    } else {
        None
    }
}
