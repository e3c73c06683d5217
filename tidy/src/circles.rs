//! No file imports itself through others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::code::Code;
use crate::finding::{Finding, Rule};
use crate::modules::ModuleId;

/// One import of a file: the first line that has it, and what it names.
#[derive(Debug)]
struct Arrow {
    line: usize,
    name: String,
}

type Arrows = BTreeMap<usize, BTreeMap<usize, Arrow>>;

/// A finding for each group of files that import each other, with the shortest circle in it.
pub fn check(code: &Code<'_>) -> Vec<Finding> {
    let arrows = arrows(code);
    let mut done = BTreeSet::new();
    let mut findings = Vec::new();
    for &file in arrows.keys() {
        if done.contains(&file) {
            continue;
        }
        let group = group(&arrows, file);
        if group.len() > 1 {
            findings.push(finding(code, &arrows, &group));
            done.extend(group);
        }
    }
    findings
}

/// Which file uses which. Code for tests inside a product file is left out.
fn arrows(code: &Code<'_>) -> Arrows {
    let mut arrows = Arrows::new();
    for &file in code.syntax.keys() {
        for link in code.links(file) {
            let in_test_file = code
                .modules
                .of_file(file)
                .iter()
                .all(|id| code.modules.all[*id].test);
            if link.test && !in_test_file {
                continue;
            }
            let Some(target) = code.target(&link) else {
                continue;
            };
            if is_own_folder(code, link.from, target) {
                continue;
            }
            let target = code.modules.all[target].file;
            if target != file {
                let name = link.reference.segments.join("::");
                let line = link.reference.line;
                let arrow = arrows
                    .entry(file)
                    .or_default()
                    .entry(target)
                    .or_insert(Arrow {
                        line,
                        name: name.clone(),
                    });
                if line < arrow.line {
                    *arrow = Arrow { line, name };
                }
            }
        }
    }
    arrows
}

/// Whether a file uses the module whose folder it lies in. Such a module and its children are one
/// unit to everybody else, and children share what the module defines. The root of a target is
/// no such module: the whole target lies in it.
fn is_own_folder(code: &Code<'_>, from: ModuleId, target: ModuleId) -> bool {
    let modules = &code.modules.all;
    modules[target].parent.is_some() && code.modules.is_below(from, target)
}

/// The files that a file reaches and that reach it, itself included.
fn group(arrows: &Arrows, file: usize) -> BTreeSet<usize> {
    let reached = reached(arrows, file);
    let back = reached.iter().copied();
    let mut group: BTreeSet<_> = back
        .filter(|other| self::reached(arrows, *other).contains(&file))
        .collect();
    group.insert(file);
    group
}

fn reached(arrows: &Arrows, from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(file) = waiting.pop() {
        for &next in arrows.get(&file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next) {
                waiting.push(next);
            }
        }
    }
    reached
}

/// The files of a shortest circle within a group, the first one again at the end.
fn shortest(arrows: &Arrows, group: &BTreeSet<usize>) -> Vec<usize> {
    let circles = group.iter().filter_map(|&start| {
        let mut before = BTreeMap::new();
        let mut waiting = VecDeque::from([start]);
        while let Some(file) = waiting.pop_front() {
            for &next in arrows.get(&file).into_iter().flat_map(BTreeMap::keys) {
                if next == start {
                    let mut circle = vec![start, file];
                    while let Some(&earlier) = before.get(&circle[circle.len() - 1]) {
                        circle.push(earlier);
                    }
                    circle.reverse();
                    return Some(circle);
                }
                if group.contains(&next) && !before.contains_key(&next) {
                    before.insert(next, file);
                    waiting.push_back(next);
                }
            }
        }
        None
    });
    circles.min_by_key(Vec::len).unwrap_or_default()
}

fn finding(code: &Code<'_>, arrows: &Arrows, group: &BTreeSet<usize>) -> Finding {
    let circle = shortest(arrows, group);
    let path = |file: usize| code.file(file).path.as_str();
    let steps: Vec<String> = circle
        .windows(2)
        .filter_map(|pair| {
            let arrow = arrows.get(&pair[0])?.get(&pair[1])?;
            Some(format!(
                "{}:{} uses {} of {}",
                path(pair[0]),
                arrow.line,
                arrow.name,
                path(pair[1])
            ))
        })
        .collect();
    let first = circle.first().copied().unwrap_or_default();
    let line = circle
        .get(1)
        .and_then(|second| arrows.get(&first)?.get(second))
        .map_or(1, |arrow| arrow.line);
    let text = format!(
        "{} files import each other: {}; move what both need into a file that uses neither",
        group.len(),
        steps.join(", ")
    );
    Finding::new(Rule::Circle, path(first), line, text)
}
