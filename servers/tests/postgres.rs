//! A Postgres of one's own: it keeps what was committed, however it ended.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use flashsale_servers::{Postgres, PostgresSettings, postgres_programs};

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
