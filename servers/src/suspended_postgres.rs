//! A Postgres that hangs: its connections stay open and get no answer.

use std::{fs, io::ErrorKind};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Postgres, ServersError};

/// All processes of a Postgres, stopped until the drop of this value.
#[derive(Debug)]
pub struct SuspendedPostgres {
    pids: Vec<Pid>,
}

impl SuspendedPostgres {
    /// Stops all processes. The postmaster is first, so that it starts no more.
    ///
    /// # Errors
    /// Where the server does not run.
    pub fn suspend(postgres: &Postgres) -> Result<Self, ServersError> {
        let mut suspended = Self { pids: Vec::new() };
        let postmaster = postgres.pid();
        suspended.stop(postmaster);
        // Backends lead process groups of their own: a signal to that of their parent would not
        // reach them.
        for child in children_of(postmaster) {
            suspended.stop(child);
        }
        // A running Postgres has children.
        if suspended.pids.len() < 2 {
            let doing = "stop the processes of a Postgres";
            return Err(ServersError::io(doing)(ErrorKind::NotFound.into()));
        }
        Ok(suspended)
    }

    fn stop(&mut self, pid: u32) {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        // A process that has just ended gives an error.
        self.pids
            .extend(pid.filter(|pid| kill_process(*pid, Signal::STOP).is_ok()));
    }
}

impl Drop for SuspendedPostgres {
    fn drop(&mut self) {
        for pid in &self.pids {
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}

/// The processes that a process has started.
fn children_of(parent: u32) -> Vec<u32> {
    let parent_of = |pid: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold anything; behind it are the state and the parent.
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(1)?.parse().ok()
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}
