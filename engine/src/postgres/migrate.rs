//! Migrations, compiled into the program, on a connection of their own.

use std::borrow::Cow;
use std::time::Duration;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType};

use crate::domain::certificates::Certificates;
use crate::domain::error::BackendError;
use crate::postgres::connector::Connector;
use crate::postgres::errors::{from_sqlx, timed_out};
use crate::postgres::pool::{STATEMENT_TIMEOUT, address};
use crate::postgres::session::Session;

/// The longest that all migrations may take: one of them copies the log of attempts. The same is in
/// `sql/begin_migration.sql`.
const MIGRATION_LIMIT: Duration = Duration::from_secs(600);

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

/// Brings the schema up to date, in one transaction, on a connection of its own. A lock of that
/// transaction lets one caller after the other migrate, through a pooler too.
pub async fn migrate(url: &str, certificates: &Certificates) -> Result<(), BackendError> {
    let connector = Connector::new(address(url, certificates)?);
    let work = async {
        // Statements may take long; a server that does not accept a connection is away.
        let mut session = tokio::time::timeout(STATEMENT_TIMEOUT, connector.open())
            .await
            .map_err(|_| timed_out("connect", STATEMENT_TIMEOUT))?
            .map_err(|error| from_sqlx("connect", &error))?;
        session
            .begin(include_str!("sql/begin_migration.sql"))
            .await
            .map_err(failed)?;
        apply_missing(&mut session).await?;
        session.commit().await.map_err(failed)
    };
    tokio::time::timeout(MIGRATION_LIMIT, work)
        .await
        .map_err(|_| timed_out("migrate", MIGRATION_LIMIT))?
}

fn failed(error: sqlx::Error) -> BackendError {
    from_sqlx("migrate", &error)
}

/// Applies the migrations that the database does not have yet, within a transaction.
async fn apply_missing(session: &mut Session) -> Result<(), BackendError> {
    sqlx::raw_sql(include_str!("sql/create_migrations_table.sql"))
        .execute(&mut *session)
        .await
        .map_err(failed)?;
    let applied: Vec<(i64, bool, Vec<u8>)> =
        sqlx::query_as(include_str!("sql/read_migrations.sql"))
            .fetch_all(&mut *session)
            .await
            .map_err(failed)?;
    for migration in missing(&applied)? {
        sqlx::raw_sql(migration.sql.clone())
            .execute(&mut *session)
            .await
            .map_err(failed)?;
        sqlx::query(include_str!("sql/insert_migration.sql"))
            .bind(migration.version)
            .bind(migration.description.into_owned())
            .bind(migration.checksum.into_owned())
            .execute(&mut *session)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

/// The migrations that are not among those of the database, which are version, success and
/// checksum each.
fn missing(applied: &[(i64, bool, Vec<u8>)]) -> Result<Vec<Migration>, BackendError> {
    let mut missing = migrations();
    for (version, success, checksum) in applied {
        let of_version = |migration: &Migration| migration.version == *version;
        let expected = match missing.iter().position(of_version) {
            Some(_) if !success => "a migration that was applied as a whole",
            Some(at) if *missing[at].checksum == **checksum => {
                missing.remove(at);
                continue;
            }
            Some(_) => "the migration that this version of flashsale has",
            None => "no migration of a later version of flashsale",
        };
        return Err(BackendError::unexpected(
            "_sqlx_migrations",
            expected,
            version,
        ));
    }
    Ok(missing)
}

/// The migrations of this version, in their order.
fn migrations() -> Vec<Migration> {
    let migration = |&(version, description, statements): &(i64, &'static str, &'static str)| {
        Migration::new(
            version,
            Cow::Borrowed(description),
            MigrationType::Simple,
            statements.into_sql_str(),
            false,
        )
    };
    MIGRATIONS.iter().map(migration).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use sqlx::migrate::Migrator;

    use super::*;

    #[tokio::test]
    async fn every_file_of_the_folder_is_a_migration_and_no_other() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
        let described = |migrations: Vec<Migration>| -> Vec<_> {
            migrations
                .into_iter()
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
        let expected = format!("{:?}", described(files.iter().cloned().collect()));
        assert_eq!(format!("{:?}", described(migrations())), expected);
    }

    #[test]
    fn a_schema_that_this_version_does_not_have_is_not_touched() {
        let row = |migration: &Migration| (migration.version, true, migration.checksum.to_vec());
        let applied: Vec<_> = migrations().iter().map(row).collect();
        assert!(missing(&applied).unwrap().is_empty());
        assert_eq!(missing(&applied[..1]).unwrap().len(), applied.len() - 1);

        let mut later = applied.clone();
        later.push((i64::MAX, true, Vec::new()));
        let mut other = applied.clone();
        other[0].2 = b"another checksum".to_vec();
        let mut half = applied;
        half[0].1 = false;
        for (rows, expected) in [
            (later, "expected no migration of a later version"),
            (other, "expected the migration that this version"),
            (half, "expected a migration that was applied as a whole"),
        ] {
            let error = missing(&rows).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
