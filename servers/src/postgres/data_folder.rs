//! The folder that a server keeps its data in.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
};

use super::{START_LIMIT, USER};
use crate::{Guard, ServersError, account::Account, process::Launch};

pub(super) fn init(
    guard: &Guard,
    programs: &Path,
    account: Option<Account>,
) -> Result<PathBuf, ServersError> {
    let data = new_home(guard, account)?.join("data");
    let launch = Launch::new("initdb", programs.join("initdb"))
        .args(["--no-sync", "--no-instructions", "--auth=trust"])
        .args(["--encoding=UTF8", "--locale=C.UTF-8"])
        .arg(format!("--username={USER}"))
        .arg("-D")
        .arg(&data)
        .account(account);
    run_to_end(guard, "initdb", &launch)?;
    Ok(data)
}

/// Makes the folder of a server, which belongs to the user that it runs as.
pub(super) fn new_home(guard: &Guard, account: Option<Account>) -> Result<PathBuf, ServersError> {
    let home = guard.folder().join("postgres");
    fs::create_dir(&home).map_err(ServersError::io("make Postgres's folder"))?;
    if let Some(Account { uid, gid }) = account {
        chown(&home, Some(uid), Some(gid)).map_err(ServersError::io("hand over its folder"))?;
    }
    Ok(home)
}

/// Runs a program that sets a server up.
pub(super) fn run_to_end(guard: &Guard, name: &str, launch: &Launch) -> Result<(), ServersError> {
    let mut process = guard.launch(launch)?;
    match process.wait(START_LIMIT) {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(ServersError::Ended {
            name: name.into(),
            status: status.to_string(),
            log: process.log_tail(20),
        }),
        None => Err(ServersError::TimedOut {
            name: name.into(),
            expected: "end",
            limit: START_LIMIT,
            found: "it still runs".into(),
            log: process.log_tail(20),
        }),
    }
}
