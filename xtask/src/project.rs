//! Where things are in the project's tree, and how its programs are built.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use flashsale_servers::Launch;

use crate::session::Session;

/// The root of the tree.
pub fn root() -> PathBuf {
    // Cargo says at run time where the tree is; the other is where it was built.
    let xtask = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or(xtask.clone(), Path::to_path_buf)
}

/// The folder `target/<command>`, where a command writes what it leaves; made here.
pub fn output_folder(command: &str) -> Result<PathBuf> {
    let folder = root().join("target").join(command);
    fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    Ok(folder)
}

/// How a program is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// For tests.
    Dev,
    /// Optimised, and still quick to compile: for the demo and the contract test.
    Release,
    /// What is shipped and measured: minutes of link-time optimisation.
    Dist,
}

impl Profile {
    /// The name of the profile in Cargo.toml.
    fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
            Self::Dist => "dist",
        }
    }

    /// The folder of its programs below Cargo's target folder.
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release | Self::Dist => self.name(),
        }
    }
}

/// Builds programs; Cargo's own messages go to the terminal.
pub fn build(session: &Session, profile: Profile, targets: &[&str]) -> Result<()> {
    let build = cargo("build").args(["build", "--profile", profile.name()]);
    session
        .run(build.args(targets))
        .context("the build failed; see above")
}

/// Builds the three programs of the product with the profile `release`.
pub fn build_product(session: &Session) -> Result<()> {
    build_programs(session, Profile::Release)
}

/// Builds the three programs of the product as an image has them.
pub fn build_shipped(session: &Session) -> Result<()> {
    build_programs(session, Profile::Dist)
}

fn build_programs(session: &Session, profile: Profile) -> Result<()> {
    session.say(format_args!(
        "Building flashsale-api, flashsale-operator and flashsale-load ({})",
        profile.name()
    ));
    let packages = [
        "-p",
        "flashsale-api",
        "-p",
        "flashsale-operator",
        "-p",
        "flashsale-load",
    ];
    build(session, profile, &packages)
}

/// The file of a program that [`build`] made; examples are `examples/<name>`.
pub fn program(profile: Profile, name: &str) -> Result<PathBuf> {
    // This program is <target>/<profile>/xtask, wherever Cargo was told to build.
    let this = env::current_exe().context("could not find out where xtask itself is")?;
    let target = this.ancestors().nth(2).unwrap_or(Path::new("target"));
    let program = target.join(profile.folder()).join(name);
    anyhow::ensure!(
        program.is_file(),
        "expected the program {} after its build, found none",
        program.display()
    );
    Ok(program)
}

/// A call of Cargo in the root of the tree, with its output on the terminal.
pub fn cargo(name: &str) -> Launch {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    without_xtask(Launch::new(format!("cargo {name}"), cargo))
        .folder(root())
        .inherit_output()
}

/// The same process without the variables that describe xtask.
pub fn without_xtask(launch: Launch) -> Launch {
    let names = env::vars_os().map(|(name, _)| name);
    launch.without_env(names.filter(|name| name.to_str().is_some_and(is_of_this_program)))
}

/// Whether `cargo run` has set this variable to describe xtask. Build scripts that watch such
/// variables (ring's does) would run again, and all that is built on them be built again, in
/// every change between `cargo build` and `cargo xtask`.
fn is_of_this_program(variable: &str) -> bool {
    let described = [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
    ];
    described.iter().any(|prefix| variable.starts_with(prefix))
        || variable == "CARGO_PRIMARY_PACKAGE"
        || variable == "OUT_DIR"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_describes_xtask_is_kept_from_cargo_and_what_the_developer_set_is_not() {
        for described in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_BIN_NAME"] {
            assert!(is_of_this_program(described), "{described}");
        }
        for chosen in [
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_NET_OFFLINE",
            "PATH",
        ] {
            assert!(!is_of_this_program(chosen), "{chosen}");
        }
    }
}
