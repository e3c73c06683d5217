//! A Postgres that hangs: its processes are stopped with SIGSTOP, its connections stay open and get
//! no answer.

use std::{
    fs,
    io::ErrorKind,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Postgres, ServersError};

/// How long a process may take to stop after its signal.
const STOP_LIMIT: Duration = Duration::from_secs(10);

impl Postgres {
    /// Stops all processes, until [`Postgres::resume`]. Returns when all of them are stopped.
    pub fn pause(&self) {
        stop_all(self.pid());
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
        if stop_all(postmaster) < 2 {
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

/// Stops the postmaster and all its children; returns how many processes got the last signal. A
/// postmaster that forks while its signal is under way still starts one child: the signals are
/// repeated until a whole round finds every process stopped.
fn stop_all(postmaster: u32) -> usize {
    let deadline = Instant::now() + STOP_LIMIT;
    loop {
        let family = family_of(postmaster);
        let all_are_stopped = family.iter().all(|process| process.is_stopped());
        let signaled = signal_all(postmaster, Signal::STOP);
        if all_are_stopped || Instant::now() > deadline {
            return signaled;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Signals the postmaster and all its children; returns how many processes got the signal. Backends
/// lead process groups of their own: a signal to that of their parent would not reach them.
fn signal_all(postmaster: u32, signal: Signal) -> usize {
    let family = family_of(postmaster).into_iter();
    family.filter(|process| send(process.pid, signal)).count()
}

/// Whether the process got the signal; one that has just ended does not.
fn send(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// A process, as `/proc/PID/stat` describes it.
#[derive(Debug)]
struct Process {
    pid: u32,
    parent: u32,
    state: String,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold anything; behind it are the state and the parent.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let state = fields.next()?.to_owned();
        let parent = fields.next()?.parse().ok()?;
        Some(Self { pid, parent, state })
    }

    /// A process that ended while its parent was stopped stays a zombie until the parent goes on.
    fn is_stopped(&self) -> bool {
        matches!(self.state.as_str(), "T" | "t" | "Z" | "X")
    }
}

/// The postmaster, which is first so that a stopped one starts no child that is missed, and the
/// processes that it has started.
fn family_of(postmaster: u32) -> Vec<Process> {
    let first = Process::read(postmaster);
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children = pids
        .filter_map(Process::read)
        .filter(|process| process.parent == postmaster);
    first.into_iter().chain(children).collect()
}
