//! Within a package, a layer uses only the layers that the rules file says it uses, all of them
//! listed before it, and no library that it is said to do without. Tests are not held to it.

use std::collections::BTreeSet;

use crate::code::{Code, Link};
use crate::finding::{Finding, Rule};
use crate::modules::Place;
use crate::rules::{self, LayerRule, Rules};

/// Compares all references with the layers.
pub fn check(code: &Code<'_>, rules: &Rules) -> Vec<Finding> {
    let mut findings = order(code, rules);
    for &file in code.syntax.keys() {
        let path = code.file(file).path.as_str();
        let modules = code.modules.of_file(file);
        if modules.iter().all(|id| code.modules.all[*id].test) {
            continue;
        }
        match layer_of(rules, path) {
            Some(layer) => findings.extend(references(code, rules, file, layer)),
            None if has_layers(rules, path) => {
                let text = format!(
                    "this file lies in no layer; move it into the folder of one, or add it to a [[layer]] in {}",
                    rules::PATH
                );
                findings.push(Finding::new(Rule::Layer, path, 1, text));
            }
            None => {}
        }
    }
    findings
}

/// The layer with the longest path that contains the file.
fn layer_of<'r>(rules: &'r Rules, path: &str) -> Option<&'r LayerRule> {
    let contains = |layer: &&LayerRule| {
        let matching = layer.files.iter().filter(|place| contains(place, path));
        matching.map(String::len).max()
    };
    rules
        .layer
        .iter()
        .filter(|layer| contains(layer).is_some())
        .max_by_key(contains)
}

fn contains(place: &str, path: &str) -> bool {
    place == path || (place.ends_with('/') && path.starts_with(place))
}

/// Whether the package of a file has layers at all.
fn has_layers(rules: &Rules, path: &str) -> bool {
    let package = package_of(path);
    let mut places = rules.layer.iter().flat_map(|layer| &layer.files);
    places.any(|place| package_of(place) == package)
}

fn package_of(path: &str) -> &str {
    path.split("/src/").next().unwrap_or(path)
}

fn order(code: &Code<'_>, rules: &Rules) -> Vec<Finding> {
    let mut before: BTreeSet<&str> = BTreeSet::new();
    let mut findings = Vec::new();
    for layer in &rules.layer {
        for used in &layer.uses {
            if !before.contains(used.as_str()) {
                let line = rules::line_of(code.tree, rules::PATH, &layer.name);
                let text = format!(
                    "layer {} uses {used}, expected a layer that is listed before it",
                    layer.name
                );
                findings.push(Finding::new(Rule::RulesFile, rules::PATH, line, text));
            }
        }
        before.insert(&layer.name);
    }
    findings
}

fn references(code: &Code<'_>, rules: &Rules, file: usize, layer: &LayerRule) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    let path = code.file(file).path.as_str();
    for link in code.links(file).filter(|link| !link.test) {
        let text = match &link.place {
            Place::Outside(outside) => library(layer, outside),
            _ => upward(code, rules, layer, &link),
        };
        let Some(text) = text else { continue };
        if seen.insert((link.reference.line, text.clone())) {
            findings.push(Finding::new(Rule::Layer, path, link.reference.line, text));
        }
    }
    findings
}

fn library(layer: &LayerRule, path: &[String]) -> Option<String> {
    let begins = |refused: &&String| {
        let refused: Vec<&str> = refused.split("::").collect();
        path.len() >= refused.len()
            && path
                .iter()
                .zip(&refused)
                .all(|(found, expected)| found == expected)
    };
    let refused = layer.without.iter().find(begins)?;
    Some(format!(
        "{} uses {}, expected a layer without {refused}; move that code to a layer that may use it",
        layer.name,
        path.join("::")
    ))
}

fn upward(code: &Code<'_>, rules: &Rules, layer: &LayerRule, link: &Link<'_>) -> Option<String> {
    let target = code.path_of(code.target(link)?);
    let used = layer_of(rules, target)?;
    // Other packages are the business of the dependency rule.
    let same_package = package_of(target) == package_of(&code.file(link.file).path);
    if !same_package || used.name == layer.name || layer.uses.contains(&used.name) {
        return None;
    }
    let name = link.reference.segments.join("::");
    let allowed = if layer.uses.is_empty() {
        "no other layer".to_owned()
    } else {
        layer.uses.join(", ")
    };
    Some(format!(
        "{} uses {name} of {} ({target}), expected {allowed}; move what both need down, or pass it in",
        layer.name, used.name
    ))
}
