//! Each rule finds a violation, and nothing where there is none.
#![allow(clippy::expect_used)]

mod history;
mod limits;
mod structure;
mod words;

use super::*;
use crate::finding::Rule;

/// A package that every tree here has.
const MANIFEST: (&str, &str) = ("sample/Cargo.toml", "[package]\nname = \"sample\"\n");
const PACKAGE: &str = "[[package]]\nfolder = \"sample\"\n";

/// The findings of a tree of files under some rules, as lines.
fn found(rules: &str, glossary: &str, files: &[(&str, &str)]) -> Vec<String> {
    let length = if rules.contains("[length]") {
        ""
    } else {
        "[length]\nextensions = [\"rs\"]\nfile_lines = 400\nfunction_lines = 60\n\
         max_file_exceptions = 1\nmax_function_exceptions = 1\n"
    };
    let commits = "[commits]\nbase = \"0\"\nmax_characters = 72\n";
    let rules = format!("{rules}\n{length}{commits}");
    let files = [
        files,
        &[("tidy.toml", &rules), ("docs/glossary.toml", glossary)],
    ]
    .concat();
    let tree = Tree::of(&files);
    let rules = rules::read(&tree).expect("the rules parse");
    let glossary = glossary::read(&tree).expect("the glossary parses");
    let findings = check(&tree, &rules, &glossary);
    findings.iter().map(ToString::to_string).collect()
}

/// The same for a package of these files under `sample/src/`, its own rule included.
fn found_in_package(rules: &str, files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<(&str, &str)> = [MANIFEST]
        .into_iter()
        .chain(files.iter().copied())
        .collect();
    found(&format!("{PACKAGE}{rules}"), "", &files)
}

#[track_caller]
fn assert_one(findings: &[String], beginning: &str, part: &str) {
    let [finding] = findings else {
        panic!("expected one finding, found {findings:#?}");
    };
    assert!(finding.starts_with(beginning), "{finding}");
    assert!(finding.contains(part), "{finding}");
}

const NONE: [&str; 0] = [];

#[test]
fn a_finding_is_one_line_and_every_rule_is_counted() {
    let finding = Finding::new(Rule::Circle, "a.rs", 3, "b");
    assert_eq!(finding.to_string(), "a.rs:3: circle: b");
    let counts = counts(&[finding]);
    assert!(
        counts.starts_with("tidy: 1 findings: rules-file 0"),
        "{counts}"
    );
    assert!(counts.contains("circle 1, clock 0"), "{counts}");
}
