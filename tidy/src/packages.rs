//! The packages of the workspace and their targets, read from the `Cargo.toml` files.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::finding::{Finding, Rule};
use crate::tree::Tree;

/// A package of the workspace.
#[derive(Debug)]
pub struct Package {
    /// Its folder, without a `/` at the end.
    pub folder: String,
    /// The name that `use` knows its library by.
    pub library: String,
    /// Root files of its targets.
    pub roots: Vec<Root>,
    pub dependencies: Vec<Dependency>,
}

/// The root file of a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    pub path: String,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Library,
    Program,
    /// A test, an example or a benchmark.
    Test,
}

/// An entry of a table of dependencies.
#[derive(Debug)]
pub struct Dependency {
    /// The package's name in the registry or in the workspace.
    pub package: String,
    /// For tests and examples alone.
    pub dev: bool,
}

/// All packages of the tree. A manifest that does not parse is a finding.
pub fn read(tree: &Tree) -> (Vec<Package>, Vec<Finding>) {
    let (mut packages, mut findings) = (Vec::new(), Vec::new());
    for file in &tree.files {
        let Some(folder) = file.path.strip_suffix("/Cargo.toml") else {
            continue;
        };
        match file.text.parse::<Table>() {
            Ok(manifest) if manifest.contains_key("package") => {
                packages.push(package(tree, folder, &manifest));
            }
            Ok(_) => {}
            Err(error) => findings.push(Finding::new(
                Rule::Dependency,
                &file.path,
                1,
                format!("expected a manifest of Cargo: {}", error.message()),
            )),
        }
    }
    (packages, findings)
}

fn package(tree: &Tree, folder: &str, manifest: &Table) -> Package {
    let text = |table: &str, key: &str| manifest.get(table)?.get(key)?.as_str();
    let name = text("package", "name").unwrap_or(folder);
    let library = text("lib", "name").map_or_else(|| name.replace('-', "_"), str::to_owned);
    let mut dependencies = Vec::new();
    for (table, dev) in [
        ("dependencies", false),
        ("build-dependencies", false),
        ("dev-dependencies", true),
    ] {
        let entries = manifest.get(table).and_then(Value::as_table);
        for (key, value) in entries.into_iter().flatten() {
            let package = value.get("package").and_then(Value::as_str).unwrap_or(key);
            dependencies.push(Dependency {
                package: package.to_owned(),
                dev,
            });
        }
    }
    Package {
        folder: folder.to_owned(),
        library,
        roots: roots(tree, folder, manifest),
        dependencies,
    }
}

/// Targets where Cargo finds them by itself, and those that the manifest names.
fn roots(tree: &Tree, folder: &str, manifest: &Table) -> Vec<Root> {
    let mut roots = BTreeSet::new();
    let mut add = |path: String, kind| {
        if tree.index(&path).is_some() {
            roots.insert(Root { path, kind });
        }
    };
    add(format!("{folder}/src/lib.rs"), Kind::Library);
    add(format!("{folder}/src/main.rs"), Kind::Program);
    add(format!("{folder}/build.rs"), Kind::Program);
    for (place, kind) in [
        ("src/bin/", Kind::Program),
        ("tests/", Kind::Test),
        ("examples/", Kind::Test),
        ("benches/", Kind::Test),
    ] {
        let prefix = format!("{folder}/{place}");
        for file in &tree.files {
            let Some(rest) = file.path.strip_prefix(&prefix) else {
                continue;
            };
            let is_root = match rest.split_once('/') {
                None => rest.ends_with(".rs"),
                Some((_, inner)) => inner == "main.rs",
            };
            if is_root {
                add(file.path.clone(), kind);
            }
        }
    }
    for (table, kind) in [
        ("bin", Kind::Program),
        ("test", Kind::Test),
        ("example", Kind::Test),
        ("bench", Kind::Test),
    ] {
        let named = manifest.get(table).and_then(Value::as_array);
        for target in named.into_iter().flatten() {
            if let Some(path) = target.get("path").and_then(Value::as_str) {
                add(format!("{folder}/{path}"), kind);
            }
        }
    }
    roots.into_iter().collect()
}
