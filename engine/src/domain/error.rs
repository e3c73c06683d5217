//! Errors of the engine and of its backends, as values without a client library's types.

use std::sync::Arc;
use std::time::Duration;

/// A backend did not do what it was asked. A later call may succeed, except after
/// [`BackendError::Url`] and [`BackendError::Unexpected`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// Redis answered with an error, or could not be reached.
    #[error("Redis, {operation}: {message}")]
    Redis {
        /// The script or command.
        operation: &'static str,
        /// The first word of the server's answer (`NOSCRIPT`, `BUSYGROUP`, …); none where the
        /// client failed before an answer.
        code: Option<String>,
        /// The rest of the answer, or the text of the client library.
        message: String,
    },
    /// Postgres answered with an error, or could not be reached.
    #[error("Postgres, {operation}: {message}")]
    Postgres {
        /// The statement.
        operation: &'static str,
        /// The five characters of the server's SQLSTATE; none where the client failed before an
        /// answer.
        sqlstate: Option<String>,
        /// The text of the server or of the client library.
        message: String,
    },
    /// A backend gave no answer in time.
    #[error("{backend}, {operation}: no answer within {after:?}")]
    TimedOut {
        /// `Redis` or `Postgres`.
        backend: &'static str,
        /// The script, command or statement.
        operation: &'static str,
        /// How long the engine waited.
        after: Duration,
    },
    /// Redis does not hold the sale (yet, or any more); it is restored from Postgres.
    #[error("Redis does not hold the sale: it is being restored from Postgres, ask again")]
    Unseeded,
    /// Another Redis master than before holds the cart partition, and may miss its last writes: its
    /// carts are restored from Postgres.
    #[error(
        "Redis may have lost the newest carts: they are being restored from Postgres, ask again"
    )]
    Promoted,
    /// This process has not loaded the sale that is meant, or cannot tell yet whether there is one.
    #[error("this process has not loaded its sales yet: ask again")]
    NotLoaded,
    /// The sale is over, and what was claimed at its end may still be on its way to Postgres.
    #[error("the sale is over and being settled: ask again")]
    Unsettled,
    /// Postgres does not take commits; what was claimed is kept and committed later.
    #[error("Postgres is away: the claim is kept and committed when it is back")]
    Away,
    /// A bounded queue is full.
    #[error("{queue} is full: ask again")]
    Full {
        /// The queue.
        queue: &'static str,
    },
    /// A backend's answer has a shape that this version does not know.
    #[error("{what}: expected {expected}, found {found}")]
    Unexpected {
        /// Where it came from.
        what: &'static str,
        /// What this version understands.
        expected: &'static str,
        /// What was there, shortened.
        found: String,
    },
    /// A connection URL that cannot be used. The URL itself is not shown: it holds a password.
    #[error("the {backend} URL cannot be used: expected {expected}")]
    Url {
        /// `Redis` or `Postgres`.
        backend: &'static str,
        /// The shape of such a URL.
        expected: &'static str,
    },
}

/// The error of a call, shared by all requests that waited for it.
pub type SharedError = Arc<BackendError>;

/// SQLSTATE of a unique violation.
const UNIQUE_VIOLATION: &str = "23505";

/// SQLSTATE of an order of a sale that is settled (`migrations/0005_settled_sales.sql`).
const SALE_SETTLED: &str = "FS001";

/// SQLSTATEs of a commit that other writers stood in the way of: unique, check (a slot beyond a
/// limit), deadlock, serialization, lock time-out.
const CONFLICTS: [&str; 5] = [UNIQUE_VIOLATION, "23514", "40P01", "40001", "55P03"];

/// SQLSTATE classes of trouble that passes: connection, transaction state, rollback, resources,
/// object state, operator intervention, system.
const PASSING_CLASSES: [&str; 7] = ["08", "25", "40", "53", "55", "57", "58"];

impl BackendError {
    /// An answer of an unknown shape; keeps the beginning of what was found.
    pub fn unexpected(
        what: &'static str,
        expected: &'static str,
        found: impl std::fmt::Debug,
    ) -> Self {
        let found = format!("{found:?}");
        Self::Unexpected {
            what,
            expected,
            found: found.chars().take(200).collect(),
        }
    }

    /// Whether Redis answered with this code.
    pub fn has_redis_code(&self, expected: &str) -> bool {
        matches!(self, Self::Redis { code: Some(code), .. } if code == expected)
    }

    /// Whether Postgres refused a row because its key is taken.
    pub fn is_unique_violation(&self) -> bool {
        self.sqlstate() == Some(UNIQUE_VIOLATION)
    }

    /// Whether Postgres refused an order because its sale is settled.
    pub fn is_sale_settled(&self) -> bool {
        self.sqlstate() == Some(SALE_SETTLED)
    }

    /// Whether Postgres refused because of what other transactions wrote, rather than because it
    /// is away.
    pub fn is_conflict(&self) -> bool {
        self.sqlstate()
            .is_some_and(|state| CONFLICTS.contains(&state))
    }

    /// Whether Postgres would give the same error to the same claims at every later try.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Postgres {
                sqlstate: Some(state),
                ..
            } => !PASSING_CLASSES.iter().any(|class| state.starts_with(class)),
            Self::Unexpected { .. } => true,
            _ => false,
        }
    }

    fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Postgres { sqlstate, .. } => sqlstate.as_deref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(sqlstate: Option<&str>) -> BackendError {
        BackendError::Postgres {
            operation: "commit_orders",
            sqlstate: sqlstate.map(str::to_owned),
            message: String::new(),
        }
    }

    #[test]
    fn a_conflict_passes_to_another_try_and_a_refusal_of_the_statement_does_not() {
        assert!(postgres(Some("23505")).is_conflict() && postgres(Some("40001")).is_conflict());
        assert!(!postgres(Some("42P01")).is_conflict() && !postgres(None).is_conflict());
        assert!(postgres(Some("42P01")).is_permanent());
        assert!(!postgres(Some("57P01")).is_permanent() && !postgres(None).is_permanent());
        assert!(!BackendError::Away.is_permanent());
    }
}
