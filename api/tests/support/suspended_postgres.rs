//! A Postgres that hangs: its connections stay, and nothing on them is answered.

use std::fs;

use flashsale_servers::Postgres;
use rustix::process::{Pid, Signal, kill_process};

/// All processes of a Postgres, stopped until this is dropped.
pub struct Frozen {
    pids: Vec<Pid>,
}

impl Frozen {
    /// Stops them, the postmaster first, which then makes no more.
    pub fn postgres(postgres: &Postgres) -> Self {
        let mut frozen = Self { pids: Vec::new() };
        let postmaster = i32::try_from(postgres.pid()).unwrap();
        frozen.stop(postmaster);
        // Backends lead process groups of their own: a signal to that of their parent would
        // not reach them.
        for child in children_of(postmaster) {
            frozen.stop(child);
        }
        assert!(frozen.pids.len() > 1, "a running Postgres has children");
        frozen
    }

    fn stop(&mut self, pid: i32) {
        let pid = Pid::from_raw(pid).unwrap();
        // One that has just ended needs no stopping.
        if kill_process(pid, Signal::STOP).is_ok() {
            self.pids.push(pid);
        }
    }
}

impl Drop for Frozen {
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
