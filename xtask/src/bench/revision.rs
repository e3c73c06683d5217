//! The programs of a revision: this tree as it is, or a commit, which is checked out and built
//! outside of the tree.
//!
//! Programs of a commit stay in the cache folder, under its hash, the build profile and the
//! compiler, and are built once. All commits share one target folder, so that their
//! dependencies are built once. Every commit is built with this tree's definitions of the build
//! profiles, whatever its own are: a comparison is of sources, not of compiler settings.

use std::{
    env,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use flashsale_servers::cache_folder;

use crate::{
    manifest::Manifest,
    project::{self, Profile, Programs},
    session::Session,
};

/// The programs that are measured; the load generator is that of this tree for all.
const NAMES: [&str; 2] = ["flashsale-api", "flashsale-operator"];
const MANIFEST: &str = "sample.yaml";
/// Another bench may build a commit from an empty cache.
const BUILD_LIMIT: Duration = Duration::from_secs(3600);
const SHORT_HASH: usize = 8;

/// What is measured.
pub struct Revision {
    /// As it was asked for.
    pub name: String,
    /// The whole hash of the commit.
    pub commit: String,
    /// Whether there are changes on top of the commit.
    pub is_dirty: bool,
    /// Its programs.
    pub programs: Programs,
    /// Its sample, in the form that its operator reads.
    pub sample: Manifest,
}

impl Revision {
    /// This tree as it is; builds it.
    pub fn this_tree(session: &Session, profile: Profile) -> Result<Self> {
        project::build_product_in(session, profile)?;
        Ok(Self {
            name: "this tree".into(),
            commit: git(&project::root(), &["rev-parse", "HEAD"])?,
            is_dirty: !git(&project::root(), &["status", "--porcelain"])?.is_empty(),
            programs: Programs::built(profile)?,
            sample: Manifest::sample()?,
        })
    }

    /// A commit by any name that Git has for it; builds it unless that was done before.
    pub fn commit(session: &Session, name: &str, profile: Profile) -> Result<Self> {
        let committish = format!("{name}^{{commit}}");
        let asked = [
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &committish,
        ];
        let commit = git(&project::root(), &asked).with_context(|| {
            format!(
                "expected --compare to name a commit of this repository, found {name:?}; \
                     a commit that the repository lacks must be fetched first"
            )
        })?;
        let cache = Cache::new(&commit, profile)?;
        let _lock = cache.lock(session)?;
        if !cache.built.is_dir() {
            session.say(format_args!(
                "Building {} ({}) in {}",
                short(&commit),
                profile.folder(),
                cache.folder.display()
            ));
            cache.build(session, &commit, profile)?;
        }
        let [api, operator] = NAMES.map(|name| cache.built.join(name));
        Ok(Self {
            name: name.to_owned(),
            commit,
            is_dirty: false,
            programs: Programs { api, operator },
            sample: Manifest::read(&cache.built.join(MANIFEST))?,
        })
    }

    /// For people: name, short hash, and whether it is the commit alone.
    pub fn describe(&self) -> String {
        let dirty = if self.is_dirty {
            " with uncommitted changes"
        } else {
            ""
        };
        format!("{} ({}{dirty})", self.name, short(&self.commit))
    }
}

fn short(commit: &str) -> &str {
    commit.get(..SHORT_HASH).unwrap_or(commit)
}

/// Where a commit is built.
struct Cache {
    folder: PathBuf,
    /// The commit checked out; removed once it is built.
    source: PathBuf,
    /// Its programs and its sample; there once all are.
    built: PathBuf,
    /// Shared by all commits.
    target: PathBuf,
    /// Definitions of build profiles, in Cargo's format.
    profiles: String,
}

impl Cache {
    fn new(commit: &str, profile: Profile) -> Result<Self> {
        let folder = cache_folder()?.join("bench");
        let profiles = profile_definitions(&read(&project::root().join("Cargo.toml"))?);
        let mut hasher = DefaultHasher::new();
        profiles.hash(&mut hasher);
        let key = format!(
            "{}-{}-{:016x}",
            profile.folder(),
            compiler()?,
            hasher.finish()
        );
        let of_commit = folder.join(commit);
        fs::create_dir_all(&of_commit)
            .with_context(|| format!("could not make {}", of_commit.display()))?;
        Ok(Self {
            source: of_commit.join("source"),
            built: of_commit.join(key),
            target: folder.join("target"),
            folder,
            profiles,
        })
    }

    /// One bench builds at a time: programs of all commits have the same names in the target
    /// folder.
    fn lock(&self, session: &Session) -> Result<File> {
        let file = self.folder.join("lock");
        let lock =
            File::create(&file).with_context(|| format!("could not write {}", file.display()))?;
        session.await_that("another bench has built its commit", BUILD_LIMIT, || {
            Ok(lock.try_lock().is_ok().then_some(()))
        })?;
        Ok(lock)
    }

    fn build(&self, session: &Session, commit: &str, profile: Profile) -> Result<()> {
        self.check_out(commit)?;
        let profiles = session.guard().folder().join("profiles.toml");
        fs::write(&profiles, &self.profiles)
            .with_context(|| format!("could not write {}", profiles.display()))?;
        let build = project::cargo("build")
            .arg("build")
            .args(profile.flags(&self.profiles))
            .arg("--config")
            .arg(&profiles)
            .args(project::PRODUCT)
            .env("CARGO_TARGET_DIR", &self.target)
            .folder(&self.source);
        session
            .run(build)
            .with_context(|| format!("the build of {} failed; see above", short(commit)))?;
        self.keep(profile)?;
        // Registered in the repository, where it would be in the way.
        let source = self.source.to_string_lossy();
        git(
            &project::root(),
            &["worktree", "remove", "--force", &source],
        )?;
        Ok(())
    }

    /// Reuses what a build that was interrupted has left.
    fn check_out(&self, commit: &str) -> Result<()> {
        let is_there = self.source.join(".git").exists()
            && git(&self.source, &["rev-parse", "HEAD"]).is_ok_and(|head| head == commit);
        if is_there {
            return Ok(());
        }
        if self.source.exists() {
            fs::remove_dir_all(&self.source)
                .with_context(|| format!("could not remove {}", self.source.display()))?;
        }
        let source = self.source.to_string_lossy();
        // Twice --force: its folder may be gone, and still be registered.
        let add = [
            "worktree", "add", "--force", "--force", "--detach", &source, commit,
        ];
        git(&project::root(), &add)?;
        Ok(())
    }

    fn keep(&self, profile: Profile) -> Result<()> {
        let partial = self.built.with_file_name("partial");
        let doing = || format!("could not write {}", self.built.display());
        if partial.exists() {
            fs::remove_dir_all(&partial).with_context(doing)?;
        }
        fs::create_dir(&partial).with_context(doing)?;
        for name in NAMES {
            let program = self.target.join(profile.folder()).join(name);
            fs::copy(program, partial.join(name)).with_context(doing)?;
        }
        let sample = project::sample_of(&self.source);
        fs::copy(sample, partial.join(MANIFEST)).with_context(doing)?;
        fs::rename(&partial, &self.built).with_context(doing)
    }
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))
}

/// The tables of a `Cargo.toml` that define build profiles.
fn profile_definitions(cargo_toml: &str) -> String {
    let mut is_profile = false;
    let of_profiles = cargo_toml.lines().filter(|line| {
        if line.starts_with('[') {
            is_profile = line.starts_with("[profile.");
        }
        is_profile
    });
    of_profiles.map(|line| format!("{line}\n")).collect()
}

/// Names the compiler that Cargo calls here: two compilers make programs of different speed.
fn compiler() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("--version")
        .current_dir(project::root())
        .output()
        .context("could not run rustc --version")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    compiler_key(&printed)
        .with_context(|| format!("expected rustc --version to print a version, found {printed:?}"))
}

/// Version and commit of a compiler, as part of a file's name.
fn compiler_key(printed: &str) -> Option<String> {
    let words = printed.strip_prefix("rustc ")?.split_whitespace().take(2);
    let words: Vec<&str> = words.map(|word| word.trim_start_matches('(')).collect();
    let key = words.join("-");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    (!key.is_empty() && key.chars().all(is_plain)).then_some(key)
}

/// What Git prints.
fn git(folder: &Path, words: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(words)
        .output()
        .context("could not run git, which the bench needs for --compare")?;
    if !output.status.success() {
        bail!(
            "git {} ended with {}: {}",
            words.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_revision_is_described_with_what_is_on_top_of_its_commit() {
        let program = PathBuf::new();
        let mut revision = Revision {
            name: "main".into(),
            commit: "0123456789abcdef".into(),
            is_dirty: false,
            programs: Programs {
                api: program.clone(),
                operator: program,
            },
            sample: Manifest::sample().unwrap(),
        };
        assert_eq!(revision.describe(), "main (01234567)");
        revision.is_dirty = true;
        assert_eq!(
            revision.describe(),
            "main (01234567 with uncommitted changes)"
        );
    }

    #[test]
    fn definitions_of_profiles_are_taken_and_nothing_else() {
        let cargo_toml = "[workspace]\nmembers = []\n[profile.dev]\ndebug = 1\n\n\
                          [profile.release.package.\"*\"]\ndebug = false\n[workspace.lints.rust]\n\
                          unsafe_code = \"forbid\"\n[profile.dist]\nlto = \"fat\"\n";
        let expected = "[profile.dev]\ndebug = 1\n\n[profile.release.package.\"*\"]\n\
                        debug = false\n[profile.dist]\nlto = \"fat\"\n";
        assert_eq!(profile_definitions(cargo_toml), expected);
    }

    #[test]
    fn programs_of_different_compilers_are_kept_apart() {
        let key = |printed| compiler_key(printed);
        let printed = "rustc 1.95.0 (59807616e 2026-04-14)\n";
        assert_eq!(key(printed).as_deref(), Some("1.95.0-59807616e"));
        assert_eq!(key("rustc 1.95.0\n").as_deref(), Some("1.95.0"));
        assert_eq!(key("rustc ../../etc\n"), None);
        assert_eq!(key("error: no toolchain\n"), None);
    }

    #[test]
    fn what_git_says_of_a_failure_is_passed_on() {
        let error = git(Path::new("/"), &["no-such-command"]).unwrap_err();
        assert!(error.to_string().contains("no-such-command"), "{error}");
    }
}
