//! Where things are in the project's tree, and how its programs are built.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use flashsale_servers::{Launch, Process};

use crate::session::Session;

/// The root of the tree.
pub fn root() -> PathBuf {
    // Cargo sets the place of the tree at run time; the other is the place of the build.
    let xtask = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or(xtask.clone(), Path::to_path_buf)
}

/// The sample manifest of a tree.
pub fn sample_of(root: &Path) -> PathBuf {
    root.join("k8s/samples/demo.yaml")
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
    /// Quick to compile.
    Dev,
    /// Quick to run.
    Release,
    /// As it is shipped: optimised over all crates.
    Dist,
}

impl Profile {
    /// The name of its folder in Cargo's target folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
            Self::Dist => "dist",
        }
    }

    /// What chooses it for `cargo build` in a workspace with this `Cargo.toml`. A workspace
    /// that does not define the profile `dist` gets its definition with the command.
    pub fn flags(self, cargo_toml: &str) -> Vec<&'static str> {
        let is_defined = || {
            cargo_toml
                .lines()
                .any(|line| line.trim() == "[profile.dist]")
        };
        match self {
            Self::Dev => Vec::new(),
            Self::Release => vec!["--release"],
            Self::Dist if is_defined() => vec!["--profile=dist"],
            Self::Dist => vec![
                "--profile=dist",
                "--config=profile.dist.inherits='release'",
                "--config=profile.dist.lto='fat'",
                "--config=profile.dist.codegen-units=1",
            ],
        }
    }
}

/// The programs of the product that sell.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `flashsale-api`.
    pub api: PathBuf,
    /// `flashsale-operator`.
    pub operator: PathBuf,
}

impl Programs {
    /// Those of this tree, which must have been built.
    pub fn built(profile: Profile) -> Result<Self> {
        Ok(Self {
            api: program(profile, "flashsale-api")?,
            operator: program(profile, "flashsale-operator")?,
        })
    }
}

/// Builds programs; Cargo's own messages go to the terminal.
pub fn build(session: &Session, profile: Profile, targets: &[&str]) -> Result<()> {
    let file = root().join("Cargo.toml");
    let cargo_toml =
        fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
    let build = cargo("build").arg("build").args(targets);
    let build = build.args(profile.flags(&cargo_toml));
    session.run(build).context("the build failed; see above")
}

/// Chooses the three programs of the product. Always all of them: the features of libraries
/// depend on what is built together.
pub const PRODUCT: [&str; 6] = [
    "-p",
    "flashsale-api",
    "-p",
    "flashsale-operator",
    "-p",
    "flashsale-load",
];

/// Builds the three programs of the product in release mode.
pub fn build_product(session: &Session) -> Result<()> {
    build_product_in(session, Profile::Release)
}

/// Builds the three programs of the product.
pub fn build_product_in(session: &Session, profile: Profile) -> Result<()> {
    session.say(format_args!(
        "Building flashsale-api, flashsale-operator and flashsale-load ({})",
        profile.folder()
    ));
    build(session, profile, &PRODUCT)
}

/// Begins the release build of the product and of more packages (`-p NAME`) in the background, at
/// the lowest priority. Nothing needs to wait for it: a later [`build`] does, and shows what is wrong
/// where it has failed.
pub fn begin_product(session: &Session, more: &[&str], log: &Path) -> Result<Process> {
    let _ = fs::remove_file(log);
    let build = without_xtask(Launch::new("release build", "nice"))
        .args(["-n", "19"])
        .arg(cargo_program())
        .args(["build", "--release"])
        .args(PRODUCT)
        .args(more)
        .folder(root())
        .log(log);
    Ok(session.guard().launch(&build)?)
}

/// The file of a program that [`build`] made; examples are `examples/<name>`.
pub fn program(profile: Profile, name: &str) -> Result<PathBuf> {
    // This program is <target>/<profile>/xtask, wherever Cargo builds.
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
    without_xtask(Launch::new(format!("cargo {name}"), cargo_program()))
        .folder(root())
        .inherit_output()
}

fn cargo_program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
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
    fn a_workspace_without_the_profile_dist_is_built_with_its_definition() {
        let flags = |cargo_toml| Profile::Dist.flags(cargo_toml);
        assert_eq!(
            flags("[workspace]\n[profile.dist]\nlto = 'fat'\n"),
            ["--profile=dist"]
        );
        let defined = flags("[profile.release]\n");
        assert!(
            defined.contains(&"--config=profile.dist.lto='fat'"),
            "{defined:?}"
        );
        assert_eq!(Profile::Release.flags(""), ["--release"]);
        assert!(Profile::Dev.flags("").is_empty());
    }

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
