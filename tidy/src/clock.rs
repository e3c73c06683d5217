//! Code reads no clock and no random source by itself: values that `main` creates are passed in.
//! Tests may, and so may the files that the rules file lists with a reason.

use std::collections::BTreeSet;

use crate::code::{Code, Link};
use crate::finding::{Finding, Rule};
use crate::modules::Place;
use crate::references::ReferenceKind;
use crate::rules::{self, ClockRule, Rules};

/// Finds the functions and methods of the rules file in the folders that it names.
pub fn check(code: &Code<'_>, rules: &Rules) -> Vec<Finding> {
    let rule = &rules.clock;
    let mut findings = Vec::new();
    let mut needed = BTreeSet::new();
    for &file in code.syntax.keys() {
        let path = code.file(file).path.as_str();
        let mut folders = rule.folders.iter();
        if !folders.any(|folder| path.starts_with(folder.as_str())) {
            continue;
        }
        let calls = calls(code, rule, file);
        if rule.allowed.iter().any(|allowed| allowed.file == path) {
            needed.extend((!calls.is_empty()).then_some(path));
            continue;
        }
        findings.extend(calls.into_iter().map(|(line, call)| {
            let text = format!(
                "reads the machine's clock or randomness with {call}, expected a value that is passed in; pass a clock or a random source, or list the file with a reason in {}",
                rules::PATH
            );
            Finding::new(Rule::Clock, path, line, text)
        }));
    }
    findings.extend(unneeded(code, rule, &needed));
    findings
}

/// Files that are listed and read nothing.
fn unneeded(code: &Code<'_>, rule: &ClockRule, needed: &BTreeSet<&str>) -> Vec<Finding> {
    let unneeded = rule
        .allowed
        .iter()
        .filter(|allowed| !needed.contains(allowed.file.as_str()));
    unneeded
        .map(|allowed| {
            let line = rules::line_of(code.tree, rules::PATH, &allowed.file);
            let text = format!(
                "{} reads neither clock nor randomness; remove it from the list (it was there because: {})",
                allowed.file, allowed.reason
            );
            Finding::new(Rule::RulesFile, rules::PATH, line, text)
        })
        .collect()
}

/// The calls of a file outside of its tests: line, and what is called.
fn calls(code: &Code<'_>, rule: &ClockRule, file: usize) -> Vec<(usize, String)> {
    let links: Vec<Link<'_>> = code.links(file).filter(|link| !link.test).collect();
    let has_type = links.iter().any(|link| names_type(rule, link));
    let calls = links.iter().filter_map(|link| {
        let call = called(rule, link)?;
        let is_method = link.reference.kind == ReferenceKind::Method;
        (has_type || !is_method).then_some((link.reference.line, call))
    });
    calls.collect()
}

/// Whether a reference names a type whose methods read a clock. Types of expressions are not
/// known here: a type of our own may have a method of the same name.
fn names_type(rule: &ClockRule, link: &Link<'_>) -> bool {
    match &link.place {
        Place::Outside(path) => path.iter().any(|name| rule.types.contains(name)),
        Place::Module(_) | Place::Item(_) => false,
    }
}

/// The function or method of the rule that a reference names.
fn called(rule: &ClockRule, link: &Link<'_>) -> Option<String> {
    let Place::Outside(path) = &link.place else {
        return None;
    };
    if link.reference.kind == ReferenceKind::Method {
        let method = path.first().filter(|name| rule.methods.contains(name))?;
        return Some(format!(".{method}()"));
    }
    // A name that is only brought in is found where it is used.
    if link.reference.kind != ReferenceKind::Path {
        return None;
    }
    let [.., holder, function] = path.as_slice() else {
        return None;
    };
    let name = format!("{holder}::{function}");
    rule.functions.contains(&name).then_some(name)
}
