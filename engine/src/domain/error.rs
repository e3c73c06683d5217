//! Errors of the engine and of its backends, as values without a client library's types.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// Why an address of a backend, or the certificates beside it, cannot be used. It holds nothing of
/// a URL but the name of a parameter, and nothing of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {found}, expected {expected}")]
pub struct AddressError {
    /// What was found.
    pub found: String,
    /// What is expected, and where it is not obvious what to do.
    pub expected: String,
}

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
    /// A node of the Redis Cluster does not answer; its slots wait for it, or for its replica.
    #[error("Redis, {operation}: the node {node} is away since {since}: {why}")]
    NodeAway {
        /// The script or command.
        operation: &'static str,
        /// The address of the node, `host:port`.
        node: String,
        /// Since when.
        since: Timestamp,
        /// What the last call or connection failed with.
        why: String,
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

/// SQLSTATE of a write on a server that takes none: a standby, a demoted primary, or a user whose
/// default is read-only.
const READ_ONLY: &str = "25006";

/// SQLSTATEs, or their classes, after which a connection is not used again: the connection is
/// broken, the server takes no writes or the transaction is in another state than expected, the
/// server shuts down or starts up, has failed, or has lost or outdated a prepared statement.
const CONDEMNING: [&str; 10] = [
    "08", "25", "57P01", "57P02", "57P03", "57P04", "57P05", "58", "26000", "0A000",
];

/// SQLSTATE classes of trouble that passes, though not always on the same connection: connection,
/// transaction state, rollback, resources, object state, operator intervention, system.
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

    /// A server that takes no writes does not have what another one may have.
    pub(crate) fn read_only(operation: &'static str) -> Self {
        Self::Postgres {
            operation,
            sqlstate: Some(READ_ONLY.to_owned()),
            message: "the server takes no writes now, and what it lacks another one may have"
                .to_owned(),
        }
    }

    /// Whether the server takes no writes.
    pub(crate) fn is_read_only(&self) -> bool {
        self.sqlstate() == Some(READ_ONLY)
    }

    /// Whether Redis answered with this code.
    pub fn has_redis_code(&self, expected: &str) -> bool {
        matches!(self, Self::Redis { code: Some(code), .. } if code == expected)
    }

    /// Whether Redis does not let its user run the command: by its access list, or because a managed
    /// service has taken the command away.
    pub fn is_command_refused(&self) -> bool {
        match self {
            Self::Redis {
                code: Some(code),
                message,
                ..
            } => code == "NOPERM" || (code == "ERR" && message.contains("unknown command")),
            _ => false,
        }
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

    /// Whether a connection to Postgres that gave this error is of no more use, and neither are
    /// others that were made before it.
    pub(crate) fn condemns_connection(&self) -> bool {
        match self {
            Self::Postgres {
                sqlstate: Some(state),
                ..
            } => CONDEMNING.iter().any(|begin| state.starts_with(begin)),
            // The client has failed before an answer.
            Self::Postgres { sqlstate: None, .. } => true,
            Self::TimedOut { backend, .. } => *backend == "Postgres",
            _ => false,
        }
    }

    /// Whether Postgres has not answered, rather than answered with an error.
    pub(crate) fn is_silence(&self) -> bool {
        match self {
            Self::Postgres { sqlstate, .. } => sqlstate
                .as_deref()
                .is_none_or(|state| state.starts_with("08") || state.starts_with("57P")),
            Self::TimedOut { backend, .. } => *backend == "Postgres",
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
    fn a_command_is_refused_by_the_access_list_or_because_it_was_taken_away() {
        let redis = |code: &str, message: &str| BackendError::Redis {
            operation: "INFO memory",
            code: Some(code.to_owned()),
            message: message.to_owned(),
        };
        assert!(redis("NOPERM", "this user has no permissions").is_command_refused());
        assert!(redis("ERR", "unknown command 'INFO', with args").is_command_refused());
        assert!(!redis("ERR", "syntax error").is_command_refused());
        assert!(!redis("LOADING", "").is_command_refused());
        assert!(!BackendError::Away.is_command_refused());
    }

    #[test]
    fn a_conflict_passes_to_another_try_and_a_refusal_of_the_statement_does_not() {
        assert!(postgres(Some("23505")).is_conflict() && postgres(Some("40001")).is_conflict());
        assert!(!postgres(Some("42P01")).is_conflict() && !postgres(None).is_conflict());
        assert!(postgres(Some("42P01")).is_permanent());
        assert!(!postgres(Some("57P01")).is_permanent() && !postgres(None).is_permanent());
        assert!(!BackendError::Away.is_permanent());
    }

    #[test]
    fn a_connection_outlives_what_a_statement_did_and_not_what_the_server_did() {
        for state in ["23505", "40001", "42P01", "57014", "55P03", "53300"] {
            assert!(!postgres(Some(state)).condemns_connection(), "{state}");
        }
        for state in [
            "25006", "25P02", "08006", "57P01", "57P02", "57P03", "26000",
        ] {
            let error = postgres(Some(state));
            assert!(error.condemns_connection(), "{state}");
        }
        assert!(postgres(None).condemns_connection());
        assert!(!BackendError::Away.condemns_connection());
        let read_only = BackendError::read_only("read_order");
        assert!(read_only.condemns_connection() && !read_only.is_permanent());
    }
}
