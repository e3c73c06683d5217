//! However a program with servers ends, neither process nor file stays behind.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    io::{BufRead, BufReader},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use flashsale_servers::{Guard, Launch, Postgres, RedisCluster, Signal};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn after_sigkill_of_the_program() {
    after("KILL");
}

#[test]
fn after_ctrl_c() {
    after("INT");
}

#[test]
fn after_sigterm() {
    after("TERM");
}

#[test]
fn after_a_panic() {
    let mut seen = Vec::new();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let redis = RedisCluster::single().unwrap();
        seen = redis.pids();
        panic!("the test that used the servers fails");
    }));
    assert!(result.is_err());
    assert!(seen.len() == 1 && !runs(seen[0]), "redis still runs");
}

#[test]
fn after_a_postgres_that_was_killed_hard() {
    let mut postgres = Postgres::start().unwrap();
    let pid = postgres.pid();
    let segments = segments_of(pid);
    assert_eq!(segments, 1, "Postgres marks its data folder by one segment");
    postgres.kill();
    drop(postgres);
    await_that("no shared memory is left", || segments_of(pid) == 0);
}

#[test]
fn a_process_that_ignores_what_it_is_sent_is_killed_with_its_children() {
    let guard = Guard::new().unwrap();
    let stubborn = "trap '' TERM; sleep 1000 & echo $! >child; wait; wait";
    let launch = Launch::new("stubborn", "sh")
        .args(["-c", stubborn])
        .guard_signal(Signal::Terminate);
    let process = guard.launch(&launch).unwrap();
    let folder = guard.folder().to_owned();
    let mut child = 0;
    await_that("the child runs", || {
        let text = fs::read_to_string(folder.join("child")).unwrap_or_default();
        child = text.trim().parse().unwrap_or(0);
        child != 0
    });
    drop(guard);
    assert!(!runs(process.pid()), "the process still runs");
    await_that("its child has ended too", || !runs(child));
    assert!(!folder.exists());
}

#[test]
fn a_file_elsewhere_is_removed_where_the_guard_was_told() {
    let elsewhere = Guard::new().unwrap();
    let [noted, other] = ["noted file", "other"].map(|name| elsewhere.folder().join(name));
    fs::write(&noted, "").unwrap();
    fs::write(&other, "").unwrap();
    let guard = Guard::new().unwrap();
    guard.remove_at_end(&noted).unwrap();
    drop(guard);
    assert!(!noted.exists() && other.exists());
}

/// Starts servers in a program of its own, ends it by `signal`, and looks around.
fn after(signal: &str) {
    let here = Guard::new().unwrap();
    let mut program = start_servers_below(here.folder());
    let folders = folders_below(here.folder());
    assert_eq!(folders.len(), 2, "one for Postgres, one for Redis");
    let pids: Vec<u32> = folders
        .iter()
        .flat_map(|folder| registered(folder))
        .collect();
    let running: Vec<u32> = pids.into_iter().filter(|pid| runs(*pid)).collect();
    assert_eq!(running.len(), 7, "Postgres and six Redis nodes");

    let kill = format!("kill -s {signal} {}", program.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    assert!(!program.wait().unwrap().success());

    await_that("every process has ended", || {
        !running.iter().any(|pid| runs(*pid))
    });
    await_that("every folder is gone", || {
        folders_below(here.folder()).is_empty()
    });
    await_that("no shared memory is left", || {
        running.iter().all(|pid| segments_of(*pid) == 0)
    });
}

fn start_servers_below(folder: &Path) -> Child {
    let mut program = Command::new(env!("CARGO_BIN_EXE_flashsale-servers"))
        .env("TMPDIR", folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let printed: Vec<String> = lines.take(2).map(Result::unwrap).collect();
    assert!(
        printed[0].starts_with("postgres=postgres://"),
        "{printed:?}"
    );
    assert!(printed[1].starts_with("redis=redis://"), "{printed:?}");
    program
}

fn folders_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("flashsale-")
        })
        .collect()
}

fn registered(folder: &Path) -> Vec<u32> {
    let entries = fs::read_dir(folder.join("pids")).unwrap();
    entries
        .map(|entry| {
            entry
                .unwrap()
                .file_name()
                .to_string_lossy()
                .parse()
                .unwrap()
        })
        .collect()
}

/// A zombie has ended; whoever is its parent may not have looked yet.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// System V segments that process `pid` made; the fifth field is their maker.
fn segments_of(pid: u32) -> usize {
    let table = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let maker = pid.to_string();
    table
        .lines()
        .filter(|line| line.split_whitespace().nth(4) == Some(&maker))
        .count()
}

fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(
            Instant::now() < deadline,
            "expected within {LIMIT:?} that {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}
