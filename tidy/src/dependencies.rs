//! A package depends on the packages before it in the rules file, and on no library that it is
//! said to do without.

use std::collections::BTreeSet;

use crate::code::Code;
use crate::finding::{Finding, Rule};
use crate::packages::Package;
use crate::rules::{self, PackageRule, Rules};

/// Compares the manifests with the rules.
pub fn check(code: &Code<'_>, rules: &Rules) -> Vec<Finding> {
    let mut findings = order(code, rules);
    for package in &code.packages {
        match rules
            .package
            .iter()
            .find(|rule| rule.folder == package.folder)
        {
            Some(rule) => findings.extend(manifest(code, package, rule)),
            None => findings.push(Finding::new(
                Rule::Dependency,
                &manifest_of(package),
                1,
                format!(
                    "{} has no [[package]] in {}; add one that says what it uses",
                    package.folder,
                    rules::PATH
                ),
            )),
        }
    }
    findings
}

/// The rules file lists each package after those that it uses.
fn order(code: &Code<'_>, rules: &Rules) -> Vec<Finding> {
    let mut before = BTreeSet::new();
    let mut findings = Vec::new();
    for rule in &rules.package {
        let line = rules::line_of(code.tree, rules::PATH, &rule.folder);
        let mut found =
            |text: String| findings.push(Finding::new(Rule::RulesFile, rules::PATH, line, text));
        if !code
            .packages
            .iter()
            .any(|package| package.folder == rule.folder)
        {
            found(format!(
                "there is no package in {}; remove the rule",
                rule.folder
            ));
        }
        for used in rule.uses.iter().chain(&rule.tests_use) {
            if !before.contains(used.as_str()) {
                found(format!(
                    "{} uses {used}, expected a package that is listed before it",
                    rule.folder
                ));
            }
        }
        before.insert(rule.folder.as_str());
    }
    findings
}

fn manifest(code: &Code<'_>, package: &Package, rule: &PackageRule) -> Vec<Finding> {
    let path = manifest_of(package);
    let name_of = |folder: &str| {
        let of_folder = code.packages.iter().find(|other| other.folder == folder);
        of_folder.map(|other| other.library.clone())
    };
    let allowed: BTreeSet<String> = rule.uses.iter().filter_map(|f| name_of(f)).collect();
    let in_tests: BTreeSet<String> = rule.tests_use.iter().filter_map(|f| name_of(f)).collect();
    let mut findings = Vec::new();
    for dependency in &package.dependencies {
        let library = dependency.package.replace('-', "_");
        let is_allowed =
            allowed.contains(&library) || (dependency.dev && in_tests.contains(&library));
        let of_workspace = code.packages.iter().find(|other| other.library == library);
        let text = match of_workspace {
            Some(_) if is_allowed => continue,
            Some(other) => format!(
                "{} depends on {}{}, which {} does not allow; remove the dependency",
                package.folder,
                other.folder,
                if dependency.dev { " in its tests" } else { "" },
                rules::PATH
            ),
            None if !dependency.dev && rule.without.contains(&dependency.package) => format!(
                "{} depends on {}, expected a package that does without it; move that code to a package that may use it",
                package.folder, dependency.package
            ),
            None => continue,
        };
        findings.push(Finding::new(
            Rule::Dependency,
            &path,
            line_of(code, &path, &dependency.package),
            text,
        ));
    }
    findings
}

fn manifest_of(package: &Package) -> String {
    format!("{}/Cargo.toml", package.folder)
}

fn line_of(code: &Code<'_>, path: &str, dependency: &str) -> usize {
    code.tree
        .file(path)
        .and_then(|file| file.lines().find(|(_, line)| line.contains(dependency)))
        .map_or(1, |(number, _)| number)
}
