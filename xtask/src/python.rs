//! The contract tester, a Python program, in an environment of its own outside
//! the tree: `$FLASHSALE_CACHE`, or `flashsale` in the user's cache folder.

use std::{
    fs,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use flashsale_servers::{Launch, cache_folder};

use crate::session::Session;

/// An installation takes a minute or two.
const LOCK_LIMIT: Duration = Duration::from_secs(600);
const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// The program `schemathesis` at the pinned version; installs it where it is not.
pub fn schemathesis(session: &Session) -> Result<PathBuf> {
    let cache = cache_folder()?;
    fs::create_dir_all(&cache).with_context(|| format!("could not make {}", cache.display()))?;
    // Two runs at once must not install into one folder.
    let lock = File::create(cache.join("lock")).context("could not make the cache's lock")?;
    wait_for(session, &lock, &cache)?;

    let venv = cache.join("schemathesis");
    let stamp = venv.join("installed-requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == REQUIREMENTS) {
        return Ok(venv.join("bin/schemathesis"));
    }
    session.say(format_args!(
        "Installing schemathesis into {}",
        venv.display()
    ));
    session.run(
        Launch::new("python3 -m venv", "python3")
            .args(["-m", "venv", "--clear"])
            .arg(&venv)
            .inherit_output(),
    )?;
    let list = session.guard().folder().join("requirements.txt");
    fs::write(&list, REQUIREMENTS).context("could not write the list of Python packages")?;
    session.run(
        Launch::new("pip install", venv.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
            ])
            .arg(&list)
            .inherit_output(),
    )?;
    // Last, so that an installation that was broken off is done again.
    fs::write(&stamp, REQUIREMENTS).context("could not write the cache's stamp")?;
    Ok(venv.join("bin/schemathesis"))
}

fn wait_for(session: &Session, lock: &File, cache: &Path) -> Result<()> {
    let mut reported = false;
    session.await_that("the cache is free", LOCK_LIMIT, || match lock.try_lock() {
        Ok(()) => Ok(Some(())),
        Err(TryLockError::WouldBlock) => {
            if !reported {
                reported = true;
                session.say(format_args!(
                    "Waiting for another run that installs into {}",
                    cache.display()
                ));
            }
            Ok(None)
        }
        Err(TryLockError::Error(error)) => Err(error).context("could not lock the cache"),
    })
}
