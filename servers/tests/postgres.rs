//! A Postgres of one's own: it keeps what was committed, however it ended.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use flashsale_servers::{Postgres, PostgresSettings, postgres_programs};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn what_was_committed_outlives_a_stop_and_a_kill() {
    let mut postgres = Postgres::start().unwrap();
    let database = postgres.create_database("orders").unwrap();
    assert_eq!(sql(&database, "SHOW fsync").unwrap(), "on");
    assert_eq!(sql(&database, "SHOW server_encoding").unwrap(), "UTF8");
    sql(&database, "CREATE TABLE bought (item integer)").unwrap();
    sql(&database, "INSERT INTO bought VALUES (1)").unwrap();

    postgres.stop();
    assert!(sql(&database, "SELECT 1").is_err(), "it is down");
    postgres.start_again().unwrap();
    sql(&database, "INSERT INTO bought VALUES (2)").unwrap();

    let before = postgres.pid();
    postgres.kill();
    assert!(sql(&database, "SELECT 1").is_err(), "it is down");
    postgres.start_again().unwrap();
    assert_ne!(postgres.pid(), before);
    assert_eq!(sql(&database, "SELECT sum(item) FROM bought").unwrap(), "3");
    assert_eq!(postgres.query("SELECT 1, 'b'").unwrap(), "1|b");
    let wrong = postgres.query("SELECT nothing").unwrap_err().to_string();
    assert!(
        wrong.contains("column \"nothing\" does not exist"),
        "{wrong}"
    );
}

#[test]
fn a_database_that_is_there_already_is_an_error_that_names_it() {
    let postgres = Postgres::start().unwrap();
    postgres.create_database("orders").unwrap();
    let error = postgres.create_database("orders").unwrap_err().to_string();
    assert!(error.contains("\"orders\" already exists"), "{error}");
}

#[test]
fn statements_are_counted_where_that_was_asked_for() {
    let plain = Postgres::start().unwrap();
    assert_eq!(plain.statement_count().unwrap(), None);
    let settings = PostgresSettings {
        count_statements: true,
        ..PostgresSettings::default()
    };
    let postgres = Postgres::start_with(settings).unwrap();
    let count = || postgres.statement_count().unwrap().unwrap();
    let before: u64 = count().parse().unwrap();
    for _ in 0..3 {
        postgres.query("SELECT 1").unwrap();
    }
    assert_eq!(
        count().parse(),
        Ok(before + 3),
        "the counting is not counted"
    );
    let extensions = "SELECT count(*) FROM pg_extension WHERE extname LIKE 'pg_stat%'";
    assert_eq!(
        postgres.query(extensions).unwrap(),
        "0",
        "it is an empty database"
    );
}

#[test]
fn a_promoted_standby_holds_what_it_received_and_misses_what_came_later() {
    let mut primary = Postgres::start().unwrap();
    sql(&primary.url(), "CREATE TABLE bought (item integer)").unwrap();
    let standby = primary.start_standby().unwrap();
    sql(&primary.url(), "INSERT INTO bought VALUES (1)").unwrap();
    let received = || standby.query("SELECT count(*) FROM bought").unwrap();
    await_that("the standby has the row", || received() == "1");
    let refused = sql(&standby.url(), "INSERT INTO bought VALUES (9)").unwrap_err();
    assert!(refused.contains("read-only"), "{refused}");

    standby.disconnect_from_primary().unwrap();
    let connected = "SELECT count(*) FROM pg_stat_replication";
    await_that("the standby is disconnected", || {
        primary.query(connected).unwrap() == "0"
    });
    sql(&primary.url(), "INSERT INTO bought VALUES (2)").unwrap();
    primary.kill();
    standby.promote().unwrap();
    sql(&standby.url(), "INSERT INTO bought VALUES (3)").unwrap();
    assert_eq!(standby.query("SELECT sum(item) FROM bought").unwrap(), "4");
}

#[test]
fn a_paused_server_stands_still_with_all_its_processes_and_goes_on_afterwards() {
    let postgres = Postgres::start().unwrap();
    assert!(states_of_family(postgres.pid()).len() > 1);
    let all_are_stopped = || {
        let states = states_of_family(postgres.pid());
        // A child that ended while the postmaster was stopped stays a zombie.
        states.iter().all(|state| state == "T" || state == "Z")
    };
    assert!(!all_are_stopped());
    for _ in 0..20 {
        // The session of this query may end before the pause, within it or after it.
        assert_eq!(postgres.query("SELECT 1").unwrap(), "1");
        postgres.pause();
        assert!(all_are_stopped());
        postgres.resume();
    }
    assert_eq!(postgres.query("SELECT 1").unwrap(), "1");
}

/// The states of a process and its children, a letter each.
fn states_of_family(pid: u32) -> Vec<String> {
    let pid = pid.to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let states = processes.filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let (state, parent) = (fields.next()?, fields.next()?);
        let is_of_family = parent == pid || entry.file_name().to_str() == Some(&pid);
        is_of_family.then(|| state.to_owned())
    });
    states.collect()
}

fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "expected that {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn sql(url: &str, statement: &str) -> Result<String, String> {
    let output = Command::new(postgres_programs().unwrap().join("psql"))
        .args(["-X", "-A", "-t", "-c", statement, url])
        .output()
        .unwrap();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
