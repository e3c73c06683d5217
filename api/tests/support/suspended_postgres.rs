//! A Postgres that hangs: its connections stay open and get no response.

use std::fs;

use flashsale_servers::Postgres;
use rustix::process::{Pid, Signal, kill_process};

/// All processes of a Postgres, stopped until the drop of this value.
pub struct SuspendedPostgres {
    pids: Vec<Pid>,
}

impl SuspendedPostgres {
    /// Stops all processes. The postmaster is first, so that it starts no more.
    pub fn suspend(postgres: &Postgres) -> Self {
        let mut suspended = Self { pids: Vec::new() };
        let postmaster = i32::try_from(postgres.pid()).unwrap();
        suspended.stop(postmaster);
        // Backends lead process groups of their own: a signal to that of their parent would
        // not reach them.
        for child in children_of(postmaster) {
            suspended.stop(child);
        }
        assert!(suspended.pids.len() > 1, "a running Postgres has children");
        suspended
    }

    fn stop(&mut self, pid: i32) {
        let pid = Pid::from_raw(pid).unwrap();
        // A process that has just ended gives an error.
        if kill_process(pid, Signal::STOP).is_ok() {
            self.pids.push(pid);
        }
    }
}

impl Drop for SuspendedPostgres {
    fn drop(&mut self) {
        for pid in &self.pids {
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}

fn children_of(parent: i32) -> Vec<i32> {
    let parent_of = |pid: i32| -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold anything; behind it are the state and the parent.
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(1)?.parse().ok()
    };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}
