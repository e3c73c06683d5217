//! A PgBouncer of one's own: it is as strict as Debian's, and its clients share sessions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use flashsale_servers::{PgBouncer, Postgres, postgres_programs, query};

#[test]
fn clients_share_a_session_and_start_up_options_are_refused() {
    let postgres = Postgres::start().unwrap();
    let pooler = PgBouncer::start(&postgres, 1).unwrap();
    let session = || query(&pooler.url(), "SELECT pg_backend_pid()").unwrap();
    assert_eq!(session(), session());

    let psql = Command::new(postgres_programs().unwrap().join("psql"))
        .args(["-X", "-c", "SELECT 1", &pooler.url()])
        .env("PGOPTIONS", "-c statement_timeout=1s")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&psql.stderr);
    assert!(
        error.contains("unsupported startup parameter: options"),
        "{error}"
    );
}
