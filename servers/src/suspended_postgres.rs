//! A Postgres that hangs: its processes are stopped with SIGSTOP, its connections stay open and get
//! no answer.

use std::{fs, io::ErrorKind};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Postgres, ServersError};

impl Postgres {
    /// Stops all processes, until [`Postgres::resume`].
    pub fn pause(&self) {
        signal_all(self.pid(), Signal::STOP);
    }

    /// Lets the paused processes go on.
    pub fn resume(&self) {
        signal_all(self.pid(), Signal::CONT);
    }
}

/// All processes of a Postgres, stopped until the drop of this value.
#[derive(Debug)]
pub struct SuspendedPostgres {
    postmaster: u32,
}

impl SuspendedPostgres {
    /// Stops all processes.
    ///
    /// # Errors
    /// Where the server does not run.
    pub fn suspend(postgres: &Postgres) -> Result<Self, ServersError> {
        let postmaster = postgres.pid();
        // A running Postgres has children.
        if signal_all(postmaster, Signal::STOP) < 2 {
            signal_all(postmaster, Signal::CONT);
            let doing = "stop the processes of a Postgres";
            return Err(ServersError::io(doing)(ErrorKind::NotFound.into()));
        }
        Ok(Self { postmaster })
    }
}

impl Drop for SuspendedPostgres {
    fn drop(&mut self) {
        signal_all(self.postmaster, Signal::CONT);
    }
}

/// Signals the postmaster and all its children; returns how many processes got the signal. Backends
/// lead process groups of their own: a signal to that of their parent would not reach them.
fn signal_all(postmaster: u32, signal: Signal) -> usize {
    // The postmaster is first, so that a stopped one starts no child that is missed.
    let first = usize::from(send(postmaster, signal));
    let children = children_of(postmaster).into_iter();
    first + children.filter(|child| send(*child, signal)).count()
}

/// Whether the process got the signal; one that has just ended does not.
fn send(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
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
