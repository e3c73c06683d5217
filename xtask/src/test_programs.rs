//! The test programs of the workspace: builds them with Cargo, and lists them.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{project::cargo, session::Session};

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

/// A program that Cargo has built of tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestProgram {
    package: String,
    target: Target,
    pub executable: PathBuf,
    /// The folder of its package, which its tests run in.
    pub folder: PathBuf,
}

impl TestProgram {
    /// A name for its process and its log: that of its package and its target.
    pub fn process_name(&self) -> String {
        format!("{}-{}", self.package, self.target.name)
    }

    /// The kind of its target, such as `test`.
    pub fn kind(&self) -> String {
        self.target.kind.join("-")
    }
}

impl fmt::Display for TestProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Target { name, kind } = &self.target;
        let kind = kind.first().map_or("", String::as_str);
        write!(f, "{}, {kind} {name}", self.package)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Target {
    fn is_in_tests_folder(&self) -> bool {
        self.kind == ["test"]
    }
}

/// Builds what `selection` names; Cargo's own messages go to the terminal.
pub fn build(session: &Session, selection: Selection) -> Result<Vec<TestProgram>> {
    let targets = match selection {
        Selection::All => Vec::new(),
        Selection::Quick => quick_targets(&described_by(
            session,
            "metadata",
            &["metadata", "--format-version=1", "--no-deps"],
        )?)?,
    };
    let build = || cargo("test").args(["test", "--workspace", "--no-run"]);
    session.run(build().args(&targets))?;
    // Once more for a list of what is built now.
    let mut list = vec!["test", "--workspace", "--no-run", "--message-format=json"];
    list.extend(targets.iter().map(String::as_str));
    let mut programs = programs_of(&described_by(session, "list of tests", &list)?)?;
    if selection == Selection::Quick {
        programs.retain(|program| !needs_go_programs(&program.package, &program.target.name));
    }
    anyhow::ensure!(!programs.is_empty(), "expected test programs, built none");
    // The longest first, so that none is left to run alone: those with a cluster of their own, then
    // those with servers, then unit tests.
    programs.sort_by_key(|program| {
        let Target { name, .. } = &program.target;
        (
            !needs_go_programs(&program.package, name),
            !program.target.is_in_tests_folder(),
        )
    });
    Ok(programs)
}

/// Everything that a call of Cargo prints.
fn described_by(session: &Session, name: &str, arguments: &[&str]) -> Result<String> {
    let file = session.guard().folder().join(format!("{name}.txt"));
    let _ = fs::remove_file(&file);
    session.run(cargo(name).args(arguments).log(&file))?;
    fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))
}

/// The arguments of `cargo test` that name the quick programs, from what `cargo metadata` prints.
fn quick_targets(metadata: &str) -> Result<Vec<String>> {
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

fn needs_go_programs(package: &str, target: &str) -> bool {
    WITH_GO_PROGRAMS.contains(&(package, target))
}

/// The test programs in what `cargo test --no-run --message-format=json` prints.
fn programs_of(messages: &str) -> Result<Vec<TestProgram>> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        executable: Option<PathBuf>,
        manifest_path: Option<PathBuf>,
        package_id: Option<String>,
        target: Option<Target>,
        profile: Option<Profile>,
    }
    #[derive(Deserialize)]
    struct Profile {
        test: bool,
    }
    let mut programs = Vec::new();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Message =
            serde_json::from_str(line).with_context(|| format!("a message of Cargo: {line}"))?;
        let is_test = message.profile.is_some_and(|profile| profile.test);
        if message.reason != "compiler-artifact" || !is_test {
            continue;
        }
        let (Some(executable), Some(manifest), Some(id), Some(target)) = (
            message.executable,
            message.manifest_path,
            message.package_id,
            message.target,
        ) else {
            continue;
        };
        let folder = manifest.parent().unwrap_or(Path::new(".")).to_owned();
        programs.push(TestProgram {
            package: package_name(&id, &folder),
            target,
            executable,
            folder,
        });
    }
    Ok(programs)
}

/// The name in `path+file:///tree/engine#flashsale-engine@0.1.0`; the folder's where the id has
/// none.
fn package_name(id: &str, folder: &Path) -> String {
    let after = id.rsplit('#').next().unwrap_or_default();
    match after.split_once('@') {
        Some((name, _version)) => name.to_owned(),
        None => folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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

    #[test]
    fn programs_are_read_from_what_cargo_prints() {
        let artifact = |id: &str, name: &str, kind: &str, test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"{id}","manifest_path":"/tree/x/Cargo.toml","target":{{"name":"{name}","kind":["{kind}"]}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let engine = "path+file:///tree/engine#flashsale-engine@0.1.0";
        let messages = [
            "   Compiling flashsale-engine",
            &artifact(engine, "flashsale_engine", "lib", false, "null"),
            &artifact(engine, "selling", "test", true, "\"/t/selling-1\""),
            &artifact(
                "path+file:///tree/xtask#0.1.0",
                "xtask",
                "bin",
                true,
                "\"/t/xtask-2\"",
            ),
            &artifact(
                "path+file:///tree/xtask#0.1.0",
                "xtask",
                "bin",
                false,
                "\"/t/xtask\"",
            ),
            r#"{"reason":"build-finished","success":true}"#,
        ]
        .join("\n");
        let programs = programs_of(&messages).unwrap();
        let named: Vec<_> = programs.iter().map(TestProgram::to_string).collect();
        assert_eq!(named, ["flashsale-engine, test selling", "x, bin xtask"]);
        assert_eq!(programs[0].executable, Path::new("/t/selling-1"));
        assert_eq!(programs[0].folder, Path::new("/tree/x"));
    }
}
