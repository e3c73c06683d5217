//! Migrations, on a connection of their own.

use sqlx::{ConnectOptions, Connection};

use crate::domain::error::BackendError;
use crate::postgres::pool::{
    LONG_STATEMENT_TIMEOUT, STATEMENT_TIMEOUT, from_sqlx, options, timed_out,
};

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

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
        let done = MIGRATOR.run_direct(None, &mut connection, false).await;
        // A connection that fails to close has ended all the same.
        let _ = connection.close().await;
        done.map_err(|error| failed(error.into()))
    };
    tokio::time::timeout(LONG_STATEMENT_TIMEOUT, work)
        .await
        .map_err(|_| timed_out("migrate", LONG_STATEMENT_TIMEOUT))?
}
