//! CPU times of processes, from the kernel's own accounting in `/proc/<pid>/stat`.
//!
//! The time of a tree of processes includes that of processes which have ended and were waited
//! for by a process of the tree: Postgres starts a process for each connection.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
};

use anyhow::{Context, Result};

/// Unit of the times in `/proc`: USER_HZ, which Linux's ABI fixes at 100 per second on every
/// architecture that this project is built for.
const MICROSECONDS_PER_TICK: u64 = 10_000;
/// Fields of `/proc/<pid>/stat` behind the name of the program.
const PARENT_FIELD: usize = 1;
const TIME_FIELDS: std::ops::Range<usize> = 11..15;
/// How often the processes are read again because one ended meanwhile.
const READ_TRIES: u32 = 10;

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessTimes {
    pid: u32,
    parent: u32,
    /// In user mode and in the kernel, of all its threads.
    own_ticks: u64,
    /// Those of children that have ended and were waited for.
    reaped_ticks: u64,
}

impl ProcessTimes {
    /// Reads a line of `/proc/<pid>/stat`.
    fn parse(stat: &str) -> Option<Self> {
        let pid = stat.split(' ').next()?.parse().ok()?;
        // The name of the program may hold spaces and parentheses.
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let times: Vec<u64> = fields
            .get(TIME_FIELDS)?
            .iter()
            .map(|field| field.parse().ok())
            .collect::<Option<_>>()?;
        let [user, system, reaped_user, reaped_system] = times[..] else {
            return None;
        };
        Some(Self {
            pid,
            parent: fields.get(PARENT_FIELD)?.parse().ok()?,
            own_ticks: user + system,
            reaped_ticks: reaped_user + reaped_system,
        })
    }

    /// Reads one process; `None` where it has ended.
    fn read(pid: &str) -> Result<Option<Self>> {
        let file = format!("/proc/{pid}/stat");
        match fs::read_to_string(&file) {
            Ok(stat) => Self::parse(&stat)
                .map(Some)
                .with_context(|| format!("expected the times of a process in {file}: {stat:?}")),
            Err(error) if has_ended(&error) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("could not read {file}")),
        }
    }
}

fn has_ended(error: &io::Error) -> bool {
    /// A process that ended between the opening and the reading of its file.
    const NO_SUCH_PROCESS: i32 = 3;
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(NO_SUCH_PROCESS)
}

/// CPU time that each tree of processes has used so far, in microseconds, in the order of
/// `roots`.
pub fn cpu_microseconds(roots: &[u32]) -> Result<Vec<u64>> {
    let reaped_of_roots = || -> Result<Vec<Option<u64>>> {
        let read = |root: &u32| ProcessTimes::read(&root.to_string());
        roots
            .iter()
            .map(|root| Ok(read(root)?.map(|times| times.reaped_ticks)))
            .collect()
    };
    let mut tries = 0;
    loop {
        let before = reaped_of_roots()?;
        let all = read_all()?;
        tries += 1;
        // A child that ended while others were read may be counted twice or not at all.
        if before == reaped_of_roots()? || tries == READ_TRIES {
            let ticks = |root: &u32| {
                tree_ticks(*root, &all)
                    .map(|ticks| ticks * MICROSECONDS_PER_TICK)
                    .with_context(|| format!("expected process {root} to run, it has ended"))
            };
            return roots.iter().map(ticks).collect();
        }
    }
}

/// CPU time of the children of this program that have ended so far, in microseconds.
pub fn ended_children_microseconds() -> Result<u64> {
    let this = ProcessTimes::read("self")?.context("expected this process in /proc")?;
    Ok(this.reaped_ticks * MICROSECONDS_PER_TICK)
}

/// The most memory that a process has had resident since its start, in bytes.
pub fn peak_rss_bytes(pid: u32) -> Result<u64> {
    memory_bytes(pid, "VmHWM")
}

/// The memory that a process has resident now, in bytes.
pub fn rss_bytes(pid: u32) -> Result<u64> {
    memory_bytes(pid, "VmRSS")
}

fn memory_bytes(pid: u32, field: &str) -> Result<u64> {
    let file = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&file).with_context(|| format!("could not read {file}"))?;
    memory_in(&status, field).with_context(|| format!("expected {field} in {file}"))
}

/// A field of `/proc/<pid>/status` in bytes.
fn memory_in(status: &str, field: &str) -> Option<u64> {
    let value = |line: &str| {
        let (name, value) = line.split_once(':')?;
        (name == field).then(|| value.trim().to_owned())
    };
    let value = status.lines().find_map(value)?;
    let kibibytes: u64 = value.strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1_024)
}

fn read_all() -> Result<Vec<ProcessTimes>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").context("could not list /proc")? {
        let name = entry.context("could not list /proc")?.file_name();
        let pid = name
            .to_str()
            .filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
        if let Some(pid) = pid {
            all.extend(ProcessTimes::read(pid)?);
        }
    }
    Ok(all)
}

/// Of a process and of all that came from it; `None` where it is not among `all`.
fn tree_ticks(root: u32, all: &[ProcessTimes]) -> Option<u64> {
    let mut children: HashMap<u32, Vec<&ProcessTimes>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let mut seen = HashSet::new();
    let mut left = vec![all.iter().find(|process| process.pid == root)?];
    let mut ticks = 0;
    while let Some(process) = left.pop() {
        // Processes are not read all at once, so numbers that are given again may make a circle.
        if seen.insert(process.pid) {
            ticks += process.own_ticks + process.reaped_ticks;
            left.extend(children.get(&process.pid).into_iter().flatten());
        }
    }
    Some(ticks)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::Command;

    use super::*;

    fn process(pid: u32, parent: u32, own_ticks: u64, reaped_ticks: u64) -> ProcessTimes {
        ProcessTimes {
            pid,
            parent,
            own_ticks,
            reaped_ticks,
        }
    }

    #[test]
    fn times_are_read_behind_a_name_with_spaces_and_parentheses() {
        let stat = "4242 (a (b) c) S 17 4242 4242 0 -1 4194560 100 200 0 0 \
                    31 12 500 60 20 0 5 0 123456 1000000 300 18446744073709551615\n";
        let expected = process(4242, 17, 43, 560);
        assert_eq!(ProcessTimes::parse(stat), Some(expected));
        assert_eq!(ProcessTimes::parse("4242 (short) S 17 1 2 3"), None);
        assert_eq!(ProcessTimes::parse(""), None);
    }

    #[test]
    fn peak_and_present_memory_are_read_in_bytes() {
        let status = "Name:\tapi\nVmPeak:\t  90000 kB\nVmHWM:\t   41000 kB\nVmRSS:\t 40000 kB\n";
        assert_eq!(memory_in(status, "VmHWM"), Some(41_000 * 1_024));
        assert_eq!(memory_in(status, "VmRSS"), Some(40_000 * 1_024));
        assert_eq!(memory_in("Name:\tkthreadd\n", "VmHWM"), None);
        let this = std::process::id();
        assert!(rss_bytes(this).unwrap() > 1 << 20);
        assert!(peak_rss_bytes(this).unwrap() > 1 << 20);
    }

    #[test]
    fn a_tree_holds_its_living_and_its_reaped_processes_and_no_others() {
        let all = [
            process(1, 0, 1_000, 1_000),
            process(10, 1, 5, 70),
            process(11, 10, 20, 0),
            process(12, 11, 3, 1),
            process(20, 1, 400, 0),
        ];
        assert_eq!(tree_ticks(10, &all), Some(5 + 70 + 20 + 3 + 1));
        assert_eq!(tree_ticks(20, &all), Some(400));
        assert_eq!(tree_ticks(99, &all), None);
        let circle = [process(2, 3, 1, 0), process(3, 2, 1, 0)];
        assert_eq!(tree_ticks(2, &circle), Some(2));
    }

    #[test]
    fn a_child_that_has_ended_is_in_the_time_of_the_process_that_waited_for_it() {
        let this = std::process::id();
        let before = cpu_microseconds(&[this]).unwrap()[0];
        let ended_before = ended_children_microseconds().unwrap();
        // Counts in the shell until it has used at least 50 ms.
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done";
        assert!(
            Command::new("sh")
                .args(["-c", busy])
                .status()
                .unwrap()
                .success()
        );
        let of_children = ended_children_microseconds().unwrap() - ended_before;
        assert!(of_children >= MICROSECONDS_PER_TICK, "{of_children}");
        let after = cpu_microseconds(&[this]).unwrap()[0];
        assert!(after - before >= of_children, "{before} {after}");
        assert!(cpu_microseconds(&[u32::MAX]).is_err());
    }
}
