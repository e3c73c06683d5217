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
        if !rule
            .folders
            .iter()
            .any(|folder| path.starts_with(folder.as_str()))
        {
            continue;
        }
        let allowed = rule.allowed.iter().any(|allowed| allowed.file == path);
        let calls = code.links(file).filter(|link| !link.test);
        for (line, call) in
            calls.filter_map(|link| Some((link.reference.line, called(rule, &link)?)))
        {
            if allowed {
                needed.insert(path);
                continue;
            }
            let text = format!(
                "reads the machine's clock or randomness with {call}, expected a value that is passed in; pass a clock or a random source, or list the file with a reason in {}",
                rules::PATH
            );
            findings.push(Finding::new(Rule::Clock, path, line, text));
        }
    }
    for allowed in &rule.allowed {
        if !needed.contains(allowed.file.as_str()) {
            let line = rules::line_of(code.tree, rules::PATH, &allowed.file);
            let text = format!(
                "{} reads neither clock nor randomness; remove it from the list (it was there because: {})",
                allowed.file, allowed.reason
            );
            findings.push(Finding::new(Rule::RulesFile, rules::PATH, line, text));
        }
    }
    findings
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
