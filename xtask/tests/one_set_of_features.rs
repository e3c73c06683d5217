//! A library is built once, whichever members of the workspace a command names: it has the same
//! features with `-p` as with `--workspace`.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// What to do where a member and the workspace differ.
const ADVICE: &str = "every member depends on flashsale-features, but xtask and servers; add what is \
                      missing to the library's features: in the workspace's Cargo.toml where a \
                      member names the library, else in features/Cargo.toml (for xtask and servers \
                      in theirs)";

/// What `cargo tree` prints with these arguments.
fn tree(arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--locked", "--offline", "--prefix", "none"])
        .args(arguments)
        .current_dir(root)
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "cargo tree {arguments:?}: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Each library of a selection of members with a set of its features, in text.
fn libraries(selection: &[&str]) -> BTreeSet<String> {
    let text = tree(&[&["--no-dedupe", "--format", "{p} with {f}"], selection].concat());
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

fn members() -> BTreeSet<String> {
    let text = tree(&["--workspace", "--depth", "0", "--format", "{p}"]);
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

#[test]
fn a_member_alone_builds_no_library_that_the_workspace_does_not() {
    let members = members();
    assert!(members.len() > 5, "{members:?}");
    // The release profile builds without the libraries of tests, the dev profile with them.
    let of_release = libraries(&["--workspace", "--edges", "normal,build"]);
    for edges in ["normal,build", "normal,build,dev"] {
        let whole = libraries(&["--workspace", "--edges", edges]);
        for member in &members {
            // xtask's libraries for tests are those of its example, a program of the release profile.
            let whole = if member == "xtask" {
                &of_release
            } else {
                &whole
            };
            let found = libraries(&["--package", member, "--edges", edges]);
            let library = |line: &str| line.split(" with ").next().map(str::to_owned);
            if let Some(only) = found.difference(whole).next() {
                let name = library(only);
                let others: Vec<_> = whole.iter().filter(|line| library(line) == name).collect();
                panic!("{member} ({edges}) builds `{only}`, the workspace {others:?}; {ADVICE}");
            }
        }
    }
}
