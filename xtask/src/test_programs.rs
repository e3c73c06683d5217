//! The test programs of the workspace: builds them with Cargo, and lists them.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{
    project::cargo,
    session::Session,
    test_selection::{Selection, Target, needs_go_programs, quick_targets},
};

/// The program that takes longest of all: it starts first, so that it does not run alone at the end.
const LONGEST: (&str, &str) = ("flashsale-api", "http");

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
    // The longest first, so that none is left to run alone: then those with a cluster of their own,
    // those with servers, and unit tests.
    programs.sort_by_key(|program| {
        let Target { name, .. } = &program.target;
        (
            (program.package.as_str(), name.as_str()) != LONGEST,
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
