//! However a command is ended while a program of it runs, nothing of it stays: no process
//! and no file. The program here is a Cargo that builds nothing and does not want to end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use flashsale_servers::Guard;

const LIMIT: Duration = Duration::from_secs(30);

/// Notes its own number and that of a child, and that it was asked to end, which it does not.
const CARGO: &str = r#"#!/bin/sh
trap ': >"$NOTES.asked"' INT TERM HUP
(trap '' INT TERM HUP; exec sleep 3600) &
printf '%s %s' $$ $! >"$NOTES.partial" && mv "$NOTES.partial" "$NOTES"
while kill -0 $!; do wait; done
"#;

struct Fixture {
    here: Guard,
    xtask: Child,
    pids: Vec<u32>,
}

impl Fixture {
    /// `cargo xtask crds` in the middle of its build.
    fn begin() -> Self {
        let here = Guard::new().unwrap();
        let cargo = here.folder().join("cargo");
        let notes = here.folder().join("notes");
        fs::write(&cargo, CARGO).unwrap();
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(here.folder().join("tmp")).unwrap();
        let xtask = Command::new("env")
            // Whoever runs the tests may ignore signals.
            .args(["--default-signal", env!("CARGO_BIN_EXE_xtask"), "crds"])
            .env("CARGO", &cargo)
            .env("NOTES", &notes)
            .env("TMPDIR", here.folder().join("tmp"))
            .spawn()
            .unwrap();
        let mut pids = Vec::new();
        await_that("the build runs", || {
            let text = fs::read_to_string(&notes).unwrap_or_default();
            pids = text.split(' ').filter_map(|pid| pid.parse().ok()).collect();
            pids.len() == 2
        });
        Self { here, xtask, pids }
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -s {name} {}", self.xtask.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.unwrap().success());
    }

    fn leaves_nothing(&self) {
        await_that("both processes have ended", || {
            !self.pids.iter().any(|pid| runs(*pid))
        });
        let tmp = self.here.folder().join("tmp");
        await_that("the temporary folder is gone", || {
            fs::read_dir(&tmp).unwrap().next().is_none()
        });
    }
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_a_program_that_does_not_end() {
    let mut fixture = Fixture::begin();
    let begun = Instant::now();
    fixture.signal("INT");
    let asked = fixture.here.folder().join("notes.asked");
    await_that("the program is asked to end", || asked.exists());
    assert!(
        fixture.xtask.try_wait().unwrap().is_none(),
        "it waits for the program to end"
    );
    fixture.signal("INT");
    assert_eq!(fixture.xtask.wait().unwrap().code(), Some(130));
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "it waited all the same"
    );
    fixture.leaves_nothing();
}

#[test]
fn a_program_that_does_not_end_when_asked_is_killed_after_a_while() {
    let mut fixture = Fixture::begin();
    fixture.signal("TERM");
    assert_eq!(fixture.xtask.wait().unwrap().code(), Some(130));
    fixture.leaves_nothing();
}

#[test]
fn a_kill_that_leaves_no_time_to_clean_up_leaves_nothing() {
    let mut fixture = Fixture::begin();
    fixture.xtask.kill().unwrap();
    assert_eq!(fixture.xtask.wait().unwrap().code(), None);
    fixture.leaves_nothing();
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
