//! Stops all processes of a server with SIGSTOP: its connections stay open and are silent.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use super::Postgres;

impl Postgres {
    /// Stops the postmaster, which then starts no more processes, and all its children.
    pub fn pause(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Lets the paused processes go on.
    pub fn resume(&self) {
        self.signal_all(Signal::CONT);
    }

    fn signal_all(&self, signal: Signal) {
        let Ok(postmaster) = i32::try_from(self.pid()) else {
            return;
        };
        // Backends lead process groups of their own: a signal to that of their parent would not
        // reach them. The postmaster is first, so that no child is missed.
        send(postmaster, signal);
        for child in children_of(postmaster) {
            send(child, signal);
        }
    }
}

/// A process that has ended takes no signal and no harm.
fn send(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

fn children_of(parent: i32) -> Vec<i32> {
    let parent_of = |pid: i32| -> Option<i32> {
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
