//! What can go wrong between the engine and its stores.

use std::time::Duration;

/// A store did not do what was asked. Everything here is worth asking again later, except
/// [`StoreError::Url`] and [`StoreError::Unexpected`].
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Redis answered with an error, or could not be reached.
    #[error("Redis, {what}: {source}")]
    Redis {
        /// The script or command.
        what: &'static str,
        /// What the client library says.
        source: redis::RedisError,
    },
    /// Postgres answered with an error, or could not be reached.
    #[error("Postgres, {what}: {source}")]
    Postgres {
        /// The statement.
        what: &'static str,
        /// What the client library says.
        source: sqlx::Error,
    },
    /// A store kept silent.
    #[error("{store}, {what}: no answer within {after:?}")]
    TimedOut {
        /// `Redis` or `Postgres`.
        store: &'static str,
        /// The script, command or statement.
        what: &'static str,
        /// How long the engine waited.
        after: Duration,
    },
    /// Redis does not know the sale (yet, or any more); it is rebuilt from Postgres.
    #[error("Redis does not hold the sale: it is being rebuilt from Postgres, ask again")]
    Unseeded,
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
    #[error("{what} is full: ask again")]
    Full {
        /// The queue.
        what: &'static str,
    },
    /// A store's answer has a shape that this version does not know.
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
    #[error("the {store} URL cannot be used: expected {expected}")]
    Url {
        /// `Redis` or `Postgres`.
        store: &'static str,
        /// The shape of such a URL.
        expected: &'static str,
    },
}

impl StoreError {
    /// An answer of an unknown shape; keeps the beginning of what was found.
    pub(crate) fn unexpected(
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
}
