//! Programs written in Go that no Debian package brings new enough: Kubernetes, etcd,
//! Helm and CoreDNS, built from the modules that `tools/go` pins.
//!
//! Promises:
//! - They are kept outside the tree, in `$FLASHSALE_CACHE` or `flashsale` in the user's
//!   cache folder, under their version and a hash of what they are built from. What is
//!   there is whole: a build is moved into place when it is done.
//! - One program is built at a time, by one process; others wait for it.
//! - A build ends with the program that asked for it, and says on standard error what it
//!   is doing as long as it takes.

mod build;
mod groups;
mod recipe;

use std::{
    env,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use self::build::{build, find_go};
use self::groups::find;
use self::recipe::Recipe;
use crate::ServersError;

/// On two slow cores the API server takes ten minutes from an empty cache.
const BUILD_LIMIT: Duration = Duration::from_secs(3600);
const REPORT_EVERY: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(50);

/// The file of a program of `tools/go`, such as `kube-apiserver`, `etcd`, `kubectl` or
/// `helm`; builds it first where it is not in the cache, which takes minutes.
///
/// # Errors
/// An unknown name, Go missing or too old, a build that fails, or a cache that cannot be
/// written.
pub fn go_program(name: &str) -> Result<PathBuf, ServersError> {
    let (group, package) = find(name)?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
        .join("tools/go")
        .join(group.name);
    let recipe = Recipe::read(group, &source)?;
    let cache = cache_folder()?.join("go");
    let folder = cache.join(recipe.key(group));
    let program = folder.join(name);
    if program.is_file() {
        return Ok(program);
    }
    fs::create_dir_all(&folder).map_err(ServersError::io(format!("make {}", folder.display())))?;
    let go = find_go(&source, recipe.go)?;
    let lock = cache.join("lock");
    let lock = File::create(&lock).map_err(ServersError::io(format!(
        "make the lock {}",
        lock.display()
    )))?;
    wait_for(&lock, name)?;
    // Another process may have built it in the meantime.
    if !program.is_file() {
        build(name, package, &go, &source, &recipe, &lock, &program)?;
    }
    Ok(program)
}

fn wait_for(lock: &File, name: &str) -> Result<(), ServersError> {
    let begun = Instant::now();
    let mut reported = None;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => {
                return Err(ServersError::io("lock the cache of Go programs")(error));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        if begun.elapsed() > BUILD_LIMIT {
            return Err(ServersError::GoBuild {
                program: name.to_owned(),
                expected: format!(
                    "another process to finish its build within {} s",
                    BUILD_LIMIT.as_secs()
                ),
                log: String::new(),
            });
        }
        let due = reported.is_none_or(|last: Instant| last.elapsed() >= REPORT_EVERY);
        if due && begun.elapsed() >= Duration::from_secs(1) {
            reported = Some(Instant::now());
            eprintln!("Waiting for another process that builds Go programs, to build {name}");
        }
        thread::sleep(PAUSE);
    }
}

/// `$FLASHSALE_CACHE`, or `flashsale` in the user's cache folder: what takes long to make and
/// is kept between runs. Nobody has made it yet.
///
/// # Errors
/// [`ServersError::NoCache`].
pub fn cache_folder() -> Result<PathBuf, ServersError> {
    let from = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    from("FLASHSALE_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|folder| folder.join("flashsale")))
        .or_else(|| from("HOME").map(|home| home.join(".cache/flashsale")))
        .map(|folder| std::path::absolute(&folder).unwrap_or(folder))
        .ok_or(ServersError::NoCache)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_unknown_program_is_refused_with_the_known_ones() {
        let error = go_program("kube-api").unwrap_err().to_string();
        assert!(error.contains("kube-apiserver"), "{error}");
    }
}
