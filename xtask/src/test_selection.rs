//! Which test programs `cargo xtask test` and `cargo xtask test --quick` run.

use anyhow::{Context, Result};
use serde::Deserialize;

/// The files in `tests/` of members whose tests need a Kubernetes API server, or another program
/// of `tools/go`.
const WITH_GO_PROGRAMS: [(&str, &str); 4] = [
    ("flashsale-operator", "kubernetes"),
    ("flashsale-packaging", "shipped"),
    ("flashsale-servers", "kube_api"),
    ("xtask", "dev_stores"),
];

/// Which test programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// All of the workspace.
    All,
    /// Those that need no more than Redis and Postgres.
    Quick,
}

/// A target of a package, as Cargo describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Target {
    pub name: String,
    pub kind: Vec<String>,
}

impl Target {
    /// Whether it is a file or a folder in `tests/`.
    pub fn is_in_tests_folder(&self) -> bool {
        self.kind == ["test"]
    }
}

/// The arguments of `cargo test` that name the quick programs, from what `cargo metadata` prints.
pub fn quick_targets(metadata: &str) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        targets: Vec<Target>,
    }
    let json = metadata.lines().find(|line| line.starts_with('{'));
    let metadata: Metadata = serde_json::from_str(json.unwrap_or_default())
        .context("expected JSON of `cargo metadata`")?;
    let mut arguments = vec!["--lib".to_owned(), "--bins".to_owned()];
    for Package { name, targets } in metadata.packages {
        let tests = targets.iter().filter(|target| target.is_in_tests_folder());
        for test in tests.filter(|test| !needs_go_programs(&name, &test.name)) {
            arguments.extend(["--test".to_owned(), test.name.clone()]);
        }
    }
    Ok(arguments)
}

/// Whether a program needs a Kubernetes API server, or another program of `tools/go`.
pub fn needs_go_programs(package: &str, target: &str) -> bool {
    WITH_GO_PROGRAMS.contains(&(package, target))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{fs, path::Path};

    use super::*;
    use crate::project;

    #[test]
    fn the_files_with_go_programs_are_those_whose_tests_start_one() {
        let mut found = Vec::new();
        for (package, folder) in [
            ("flashsale-api", "api"),
            ("flashsale-engine", "engine"),
            ("flashsale-load", "load"),
            ("flashsale-operator", "operator"),
            ("flashsale-packaging", "packaging"),
            ("flashsale-servers", "servers"),
            ("xtask", "xtask"),
        ] {
            for entry in fs::read_dir(project::root().join(folder).join("tests")).unwrap() {
                let path = entry.unwrap().path();
                if starts_a_go_program(&path) {
                    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                    found.push((package, name));
                }
            }
        }
        found.sort();
        let found: Vec<_> = found.iter().map(|(p, t)| (*p, t.as_str())).collect();
        assert_eq!(found, WITH_GO_PROGRAMS);
    }

    fn starts_a_go_program(path: &Path) -> bool {
        if path.is_dir() {
            let mut entries = fs::read_dir(path).unwrap();
            return entries.any(|entry| starts_a_go_program(&entry.unwrap().path()));
        }
        let text = fs::read_to_string(path).unwrap();
        text.contains("go_program") || text.contains("KubeApi")
    }

    #[test]
    fn the_quick_targets_are_units_and_tests_without_go_programs() {
        let metadata = r#"    Blocking waiting for file lock
{"packages": [
{"name": "xtask", "targets": [{"name": "xtask", "kind": ["bin"]},
 {"name": "dev_stores", "kind": ["test"]}, {"name": "redis_join", "kind": ["test"]}]},
{"name": "flashsale-api", "targets": [{"name": "http", "kind": ["test"]}]}]}"#
            .replace(",\n", ", ");
        let metadata = metadata.replace("[\n", "[");
        let expected = ["--lib", "--bins", "--test", "redis_join", "--test", "http"];
        assert_eq!(quick_targets(&metadata).unwrap(), expected);
        assert!(quick_targets("error: no such command").is_err());
    }
}
