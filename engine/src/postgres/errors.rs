//! The errors of the client library as those of the engine.

use std::time::Duration;

use crate::domain::error::BackendError;

/// An operation that got no answer in time.
pub(super) fn timed_out(operation: &'static str, after: Duration) -> BackendError {
    BackendError::TimedOut {
        backend: "Postgres",
        operation,
        after,
    }
}

/// An operation that failed.
pub(super) fn from_sqlx(operation: &'static str, error: &sqlx::Error) -> BackendError {
    if let sqlx::Error::RowNotFound = error {
        return BackendError::unexpected(operation, "a row", "none");
    }
    let database = error.as_database_error();
    BackendError::Postgres {
        operation,
        sqlstate: database.and_then(|error| error.code().map(|code| code.into_owned())),
        message: error.to_string(),
    }
}
