//! Files and functions stay short enough to be read at once; the exceptions are few, have a
//! limit of their own and a reason, and go when they are needed no longer.

use crate::code::Code;
use crate::finding::{Finding, Rule};
use crate::rules::{self, LengthRule, Rules};

/// Measures all files and functions.
pub fn check(code: &Code<'_>, rules: &Rules) -> Vec<Finding> {
    let rule = &rules.length;
    let mut findings = too_many(rule);
    findings.extend(files(code, rule));
    findings.extend(functions(code, rule));
    findings
}

fn too_many(rule: &LengthRule) -> Vec<Finding> {
    let limits = [
        ("files", rule.file.len(), rule.max_file_exceptions),
        (
            "functions",
            rule.function.len(),
            rule.max_function_exceptions,
        ),
    ];
    let beyond = limits.into_iter().filter(|(_, found, limit)| found > limit);
    beyond
        .map(|(what, found, limit)| {
            let text = format!(
                "{found} exceptions for the length of {what}, expected at most {limit}; split some"
            );
            Finding::new(Rule::RulesFile, rules::PATH, 1, text)
        })
        .collect()
}

fn files(code: &Code<'_>, rule: &LengthRule) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &code.tree.files {
        if !rule.extensions.iter().any(|extension| file.is(extension)) {
            continue;
        }
        let lines = file.text.lines().count();
        let exception = rule
            .file
            .iter()
            .find(|exception| exception.file == file.path);
        let limit = exception.map_or(rule.file_lines, |exception| exception.lines);
        let why = exception.map_or(String::new(), |exception| {
            allowed_because(&exception.reason)
        });
        if lines > limit {
            let text =
                format!("{lines} lines, expected at most {limit}{why}; split the file by idea");
            findings.push(Finding::new(Rule::FileLength, &file.path, limit + 1, text));
        }
    }
    for exception in &rule.file {
        let lines = code
            .tree
            .file(&exception.file)
            .map(|file| file.text.lines().count());
        findings.extend(unneeded(
            code,
            &exception.file,
            &exception.file,
            lines,
            rule.file_lines,
        ));
    }
    findings
}

fn functions(code: &Code<'_>, rule: &LengthRule) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (&index, syntax) in &code.syntax {
        let path = code.file(index).path.as_str();
        for function in &syntax.functions {
            let exception = rule
                .function
                .iter()
                .find(|exception| exception.file == path && exception.function == function.name);
            let limit = exception.map_or(rule.function_lines, |exception| exception.lines);
            let why = exception.map_or(String::new(), |exception| {
                allowed_because(&exception.reason)
            });
            if function.lines > limit {
                let text = format!(
                    "fn {} has {} lines, expected at most {limit}{why}; split the function by idea",
                    function.name, function.lines
                );
                findings.push(Finding::new(
                    Rule::FunctionLength,
                    path,
                    function.first_line,
                    text,
                ));
            }
        }
    }
    for exception in &rule.function {
        let functions = code
            .tree
            .index(&exception.file)
            .and_then(|index| code.syntax.get(&index));
        let lines = functions
            .into_iter()
            .flat_map(|syntax| &syntax.functions)
            .filter(|function| function.name == exception.function)
            .map(|function| function.lines)
            .max();
        let name = format!("fn {} of {}", exception.function, exception.file);
        findings.extend(unneeded(
            code,
            &name,
            &exception.file,
            lines,
            rule.function_lines,
        ));
    }
    findings
}

fn allowed_because(reason: &str) -> String {
    format!(" (an exception: {reason})")
}

fn unneeded(
    code: &Code<'_>,
    name: &str,
    value: &str,
    lines: Option<usize>,
    limit: usize,
) -> Option<Finding> {
    let why = match lines {
        None => "is not there".to_owned(),
        Some(lines) if lines <= limit => format!("has {lines} lines, no more than {limit}"),
        Some(_) => return None,
    };
    let line = rules::line_of(code.tree, rules::PATH, value);
    let text = format!("{name} {why}; remove the exception");
    Some(Finding::new(Rule::RulesFile, rules::PATH, line, text))
}
