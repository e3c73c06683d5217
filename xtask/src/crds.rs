//! `cargo xtask crds`: the custom resource definitions in `crds/`, from the types. The chart has a
//! copy: Helm reads no file outside of it.

use std::{fs, process::Command};

use anyhow::{Context, Result, bail};

use crate::{
    project::{self, Profile},
    session::Session,
};

const FILES: [&str; 2] = [
    "crds/flashsales.flashsale.dev.yaml",
    "charts/flashsale/files/flashsales.flashsale.dev.yaml",
];

/// Writes the files, or with `check` fails where one differs.
pub fn run(session: &Session, check: bool) -> Result<()> {
    project::build(session, Profile::Dev, &["-p", "flashsale-operator"])?;
    compare(session, check)
}

/// The check with an operator that has been built: a build of one package alone, beside those of
/// the whole workspace, would compile many libraries once more.
pub fn check_built(session: &Session) -> Result<()> {
    compare(session, true)
}

fn compare(session: &Session, check: bool) -> Result<()> {
    let output = Command::new(project::program(Profile::Dev, "flashsale-operator")?)
        .arg("crd")
        .output()
        .context("could not run flashsale-operator crd")?;
    anyhow::ensure!(
        output.status.success(),
        "flashsale-operator crd ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    for file in FILES {
        settle(session, file, &output.stdout, check)?;
    }
    Ok(())
}

fn settle(session: &Session, name: &str, expected: &[u8], check: bool) -> Result<()> {
    let file = project::root().join(name);
    let found = fs::read(&file).unwrap_or_default();
    if found == expected {
        session.say(format_args!("{name} matches the types"));
    } else if check {
        let same = found
            .iter()
            .zip(expected)
            .take_while(|(a, b)| a == b)
            .count();
        let line = found[..same].iter().filter(|byte| **byte == b'\n').count() + 1;
        bail!(
            "{name} differs from the types from line {line} on; run `cargo xtask crds` and commit it"
        );
    } else {
        fs::write(&file, expected).with_context(|| format!("could not write {name}"))?;
        session.say(format_args!("Wrote {name}"));
    }
    Ok(())
}
