//! Migrations, compiled into the program, on a connection of their own.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{ConnectOptions, Connection, SqlSafeStr as _};

use crate::domain::error::BackendError;
use crate::postgres::pool::{
    LONG_STATEMENT_TIMEOUT, STATEMENT_TIMEOUT, from_sqlx, options, timed_out,
};

/// Version, description and statements of each file of `migrations/`. `sqlx::migrate!` would find
/// the files, and build sqlx, TLS and an asynchronous runtime a second time, for the compiler.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (
        1,
        "sales",
        include_str!("../../../migrations/0001_sales.sql"),
    ),
    (
        2,
        "checkout attempts",
        include_str!("../../../migrations/0002_checkout_attempts.sql"),
    ),
    (
        3,
        "lifecycle",
        include_str!("../../../migrations/0003_lifecycle.sql"),
    ),
    (
        4,
        "formats",
        include_str!("../../../migrations/0004_formats.sql"),
    ),
    (
        5,
        "settled sales",
        include_str!("../../../migrations/0005_settled_sales.sql"),
    ),
    (
        6,
        "attempts",
        include_str!("../../../migrations/0006_attempts.sql"),
    ),
];

/// Brings the schema up to date, on a connection of its own: the server then gives the
/// advisory lock that guards migrations back, whatever happens.
pub async fn migrate(url: &str) -> Result<(), BackendError> {
    let failed = |error: sqlx::Error| from_sqlx("migrate", &error);
    let work = async {
        // Statements may take long; a server that does not accept a connection is away.
        let options = options(url)?;
        let mut connection = tokio::time::timeout(STATEMENT_TIMEOUT, options.connect())
            .await
            .map_err(|_| timed_out("connect", STATEMENT_TIMEOUT))?
            .map_err(failed)?;
        // `run` takes whatever a connection can be got from, so generally that the compiler cannot
        // tell whether threads may share this future.
        let done = migrator().run_direct(None, &mut connection, false).await;
        // A connection that fails to close has ended all the same.
        let _ = connection.close().await;
        done.map_err(|error| failed(error.into()))
    };
    tokio::time::timeout(LONG_STATEMENT_TIMEOUT, work)
        .await
        .map_err(|_| timed_out("migrate", LONG_STATEMENT_TIMEOUT))?
}

/// Applies the migrations that a database does not have yet.
fn migrator() -> Migrator {
    let migration = |&(version, description, statements): &(i64, &'static str, &'static str)| {
        Migration::new(
            version,
            Cow::Borrowed(description),
            MigrationType::Simple,
            statements.into_sql_str(),
            false,
        )
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn every_file_of_the_folder_is_a_migration_and_no_other() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
        let described = |migrator: &Migrator| -> Vec<_> {
            let migrations = migrator.iter().cloned();
            migrations
                .map(|each| {
                    let sum = each.checksum.into_owned();
                    (
                        each.version,
                        each.description,
                        each.migration_type,
                        each.no_tx,
                        sum,
                    )
                })
                .collect()
        };
        let files = Migrator::new(folder.as_path()).await.unwrap();
        let expected = format!("{:?}", described(&files));
        assert_eq!(format!("{:?}", described(&migrator())), expected);
    }
}
