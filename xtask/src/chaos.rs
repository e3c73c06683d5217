//! `cargo xtask chaos`: faults on real processes. The program is `flashsale-chaos`, a crate of its
//! own, because it needs what a newcomer should not wait for; here it is built and started.

use std::{ffi::OsString, process::Command};

use anyhow::Result;
use flashsale_servers::in_path;

use crate::{
    project::{self, PRODUCT, Profile},
    session::Session,
    setup::{self, Needs},
    stack::product,
};

/// The package of the program, as Cargo takes it.
pub const PACKAGE: [&str; 2] = ["-p", "flashsale-chaos"];

/// What continuous integration plays: three runs, less than four minutes in all.
const CONTINUOUS_INTEGRATION: [&[&str]; 3] = [
    &["--scenario", "hung-other-master"],
    &["--scenario", "lost-tail"],
    &["--seed", "1", "--seconds", "50"],
];
/// Calls per second in continuous integration, which measures no highest rate.
const RATE: &str = "600";

/// Installs what is missing, builds, and plays.
pub fn run(session: &Session, args: &[OsString]) -> Result<()> {
    setup::install_missing(session, Needs::Servers)?;
    if in_path("faketime").is_none() {
        setup::install(session, &["faketime"])?;
    }
    build(session)?;
    play(session, args)
}

/// Plays what continuous integration plays. The product must have been built in release mode.
pub fn run_for_continuous_integration(session: &Session) -> Result<()> {
    build(session)?;
    for args in CONTINUOUS_INTEGRATION {
        let args = args.iter().chain(&["--rate", RATE]).map(OsString::from);
        play(session, &args.collect::<Vec<_>>())?;
    }
    Ok(())
}

fn build(session: &Session) -> Result<()> {
    session.say("Building the product and flashsale-chaos (release)");
    let targets = [&PRODUCT[..], &PACKAGE].concat();
    project::build(session, Profile::Release, &targets)
}

fn play(session: &Session, args: &[OsString]) -> Result<()> {
    let program = project::program(Profile::Release, "flashsale-chaos")?;
    let chaos = product("flashsale-chaos", program)
        .folder(project::root())
        .inherit_output()
        .args(["--revision", &revision()])
        .args(args);
    session.run(chaos)
}

/// The short hash of the commit, with a mark where the tree has changes on top of it.
fn revision() -> String {
    let described = Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*"])
        .current_dir(project::root())
        .output();
    let described = described.ok().filter(|output| output.status.success());
    described.map_or_else(
        || "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
