//! Subjects of commits.

use std::path::PathBuf;
use std::process::Command;

use super::*;

fn subjects(subjects: &[&str]) -> Vec<String> {
    let commits = subjects.iter().map(|subject| commits::Commit {
        id: "abc".to_owned(),
        subject: (*subject).to_owned(),
    });
    let rule = rules::CommitRule {
        base: "0".to_owned(),
        max_characters: 20,
    };
    let findings = commits::check(&History::Whole(commits.collect()), &rule);
    findings.iter().map(ToString::to_string).collect()
}

#[test]
fn subjects_of_commits_are_short_and_have_no_full_stop() {
    assert_eq!(subjects(&["Route by slot", "Añadir veinte letras"]), NONE);
    assert_one(
        &subjects(&["Route by slot, and more"]),
        "abc:1: commit: 23 characters",
        "at most 20",
    );
    assert_one(
        &subjects(&["Route by slot."]),
        "abc:1: commit:",
        "full stop",
    );
    assert_one(&subjects(&[" "]), "abc:1: commit:", "found none");
}

/// A temporary folder, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("flashsale-tidy-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("the folder is new");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is a folder of some kilobytes in the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_history_is_read_from_the_base_on_and_as_far_as_a_shallow_clone_goes() {
    let folder = Folder::new();
    let whole = folder.0.join("whole");
    let git = |arguments: &[&str]| {
        let run = Command::new("git")
            .arg("-C")
            .arg(&folder.0)
            .args(arguments)
            .output();
        let output = run.expect("git runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    git(&["init", "--quiet", "whole"]);
    let commit = |subject: &str| {
        let author = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        let commit = ["commit", "--quiet", "--allow-empty", "-m", subject];
        git(&[&["-C", "whole"], &author[..], &commit[..]].concat());
        git(&["-C", "whole", "rev-parse", "HEAD"])
    };
    let base = commit("The base");
    let old = commit("One");
    commit("Two");
    let rule = |base: &str| rules::CommitRule {
        base: base.to_owned(),
        max_characters: 72,
    };
    let subjects = |commits: &[commits::Commit]| -> Vec<String> {
        commits
            .iter()
            .map(|commit| commit.subject.clone())
            .collect()
    };
    match commits::read(&whole, &rule(&base)).expect("a history") {
        History::Whole(commits) => assert_eq!(subjects(&commits), ["Two", "One"]),
        other => panic!("{other:?}"),
    }
    let url = format!("file://{}", whole.display());
    git(&["clone", "--quiet", "--depth", "1", &url, "shallow"]);
    match commits::read(&folder.0.join("shallow"), &rule(&old)).expect("a history") {
        History::Shallow(commits) => assert_eq!(subjects(&commits), ["Two"]),
        other => panic!("{other:?}"),
    }
    let unknown = rule("0123456789012345678901234567890123456789");
    let history = commits::read(&whole, &unknown).expect("a history");
    assert!(matches!(history, History::WithoutBase), "{history:?}");
    let findings: Vec<_> = commits::check(&history, &unknown)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_one(&findings, "tidy.toml:1: rules-file:", "no ancestor");
}
