//! A guard: a temporary folder, and a process that removes the folder and stops
//! everything started in it once this program closes it or ends, however it ends.
//!
//! The guard process holds the read end of a pipe whose other end only this
//! program has. The kernel closes it even on SIGKILL, so cleaning up needs no
//! code of ours to run, and there is one way of cleaning up for every end.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    ServersError,
    process::{Launch, Process},
};

/// A temporary folder with the processes that run in it.
///
/// Dropping it stops the processes, removes the folder, and returns when both
/// are done. Where a value owns both, put the guard before its [`Process`]es:
/// fields are dropped in their order.
#[derive(Debug)]
pub struct Guard {
    folder: PathBuf,
    process: Child,
}

impl Guard {
    /// Makes the folder, below `$TMPDIR` or `/tmp`; in `/tmp` too where this program is
    /// root and other users, whom servers run as, cannot get into `$TMPDIR`.
    ///
    /// # Errors
    /// Where no process can be started or no folder made.
    pub fn new() -> Result<Self, ServersError> {
        Self::start(env::var_os("TMPDIR"), Stdio::null())
    }

    /// The same, and keeps `file` open until everything is cleaned up: a lock on it is
    /// held so long, also where this program is killed.
    ///
    /// # Errors
    /// As [`Guard::new`].
    pub fn holding(file: &File) -> Result<Self, ServersError> {
        let held = file
            .try_clone()
            .map_err(ServersError::io("hand a lock to the guard process"))?;
        Self::start(env::var_os("TMPDIR"), held.into())
    }

    fn start(base: Option<OsString>, held: Stdio) -> Result<Self, ServersError> {
        let mut process = Command::new("sh")
            // Through the environment: as an argument it would fill every list of processes.
            .args(["-c", "eval \"$GUARD\"", "flashsale-guard"])
            .env("GUARD", include_str!("guard.sh"))
            // A group of its own: Ctrl-C in a terminal must not reach it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(held)
            .env("TMPDIR", base.unwrap_or_default())
            .spawn()
            .map_err(ServersError::io("start the guard process `sh`"))?;
        let mut folder = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut folder)
                .map_err(ServersError::io("read the temporary folder's name"))?;
        }
        let folder = PathBuf::from(folder.trim_end());
        if !folder.is_absolute() {
            let _ = process.wait();
            return Err(ServersError::Io {
                doing: format!(
                    "make a temporary folder below `{}`",
                    std::env::temp_dir().display()
                ),
                source: std::io::ErrorKind::PermissionDenied.into(),
            });
        }
        Ok(Self { folder, process })
    }

    /// The folder, an absolute path, readable by every user.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Has `file`, an absolute path outside the folder, removed at the end too.
    ///
    /// # Errors
    /// Where this cannot be noted in the folder.
    pub fn remove_at_end(&self, file: &Path) -> Result<(), ServersError> {
        File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("removals"))
            .and_then(|mut list| writeln!(list, "{}", file.display()))
            .map_err(ServersError::io("note a file to remove at the end"))
    }

    /// Starts a process that ends with this guard at the latest.
    ///
    /// A program that cannot be executed shows as a process that ended with
    /// status 126 or 127, with the reason in its log.
    ///
    /// # Errors
    /// Where its log cannot be written or no process can be started.
    pub fn launch(&self, launch: &Launch) -> Result<Process, ServersError> {
        Process::start(launch, &self.folder)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::{
        fs::{self, Permissions, TryLockError},
        os::unix::fs::PermissionsExt,
    };

    #[test]
    fn root_goes_where_its_servers_can_follow() {
        let here = Guard::new().unwrap();
        let [open, private] = ["open", "private"].map(|name| here.folder().join(name));
        let below_private = private.join("folder");
        fs::create_dir(&open).unwrap();
        fs::create_dir_all(&below_private).unwrap();
        fs::set_permissions(&private, Permissions::from_mode(0o700)).unwrap();

        let in_open = Guard::start(Some(open.clone().into()), Stdio::null()).unwrap();
        assert!(in_open.folder().starts_with(&open));
        let guard = Guard::start(Some(below_private.into()), Stdio::null()).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        assert_eq!(guard.folder().starts_with(&private), !is_root);
        assert_eq!(guard.folder().parent() == Some(Path::new("/tmp")), is_root);
    }

    #[test]
    fn a_lock_is_held_until_all_is_cleaned_up() {
        let here = Guard::new().unwrap();
        let lock = || File::open(here.folder()).unwrap();
        let held = lock();
        held.try_lock().unwrap();
        let guard = Guard::holding(&held).unwrap();
        drop(held);
        assert!(matches!(lock().try_lock(), Err(TryLockError::WouldBlock)));
        drop(guard);
        lock().try_lock().unwrap();
    }
}
