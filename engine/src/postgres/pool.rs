//! The pool of connections to Postgres.
//!
//! Guarantees: no statement waits longer than its limit, [`STATEMENT_TIMEOUT`] unless it says
//! otherwise, and the server gives it up a little earlier, so that nothing goes on unwatched; what
//! a call has committed is on disk; a call that its caller stops waiting for goes on to its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::domain::certificates::Certificates;
use crate::domain::clock::Clock;
use crate::domain::error::BackendError;
use crate::observability::metrics::Metrics;
use crate::postgres::address::{PostgresAddress, SHAPE};
use crate::postgres::connections::{Acquired, Connections};
use crate::postgres::connector::Connector;
use crate::postgres::errors::{from_sqlx, timed_out};
use crate::postgres::operations::Postgres;
use crate::postgres::session::{Session, SessionKind};
use crate::postgres::sold_counts::SoldCounts;

/// The longest that a statement may take, on both sides of the connection.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest that a seed or an audit may take.
pub const LONG_STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// A pool of connections to the database that keeps the truth: the adapter of [`Postgres`].
pub struct PostgresPool {
    connections: Arc<Connections>,
    metrics: Arc<Metrics>,
    clock: Clock,
    sold_counts: SoldCounts,
}

impl std::fmt::Debug for PostgresPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgresPool")
    }
}

/// The address in a URL, with certificates.
pub(super) fn address(
    url: &str,
    certificates: &Certificates,
) -> Result<PostgresAddress, BackendError> {
    let address = PostgresAddress::parse(url).map_err(|error| {
        tracing::error!(%error, "the URL of Postgres cannot be used");
        BackendError::Url {
            backend: "Postgres",
            expected: SHAPE,
        }
    })?;
    Ok(address.with_certificates(certificates))
}

impl PostgresPool {
    /// Makes the pool and tries one connection.
    pub async fn connect(
        url: &str,
        certificates: &Certificates,
        max_connections: u32,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Result<Self, BackendError> {
        let connector = Connector::new(address(url, certificates)?);
        let database = Self {
            connections: Connections::new(connector, max_connections, clock.clone()),
            metrics,
            clock,
            sold_counts: SoldCounts::default(),
        };
        database.ping().await?;
        Ok(database)
    }

    /// Runs one statement on a connection of the pool, within [`STATEMENT_TIMEOUT`].
    pub(super) async fn run<T, F>(
        &self,
        operation: &'static str,
        work: F,
    ) -> Result<T, BackendError>
    where
        F: for<'c> FnOnce(&'c mut Session) -> BoxFuture<'c, Result<T, sqlx::Error>>
            + Send
            + 'static,
        T: Send + 'static,
    {
        self.call(operation, Scope::Statement, work).await
    }

    /// Runs statements in one transaction, each within [`STATEMENT_TIMEOUT`] and so all of them.
    pub(super) async fn run_in_transaction<T, F>(
        &self,
        operation: &'static str,
        work: F,
    ) -> Result<T, BackendError>
    where
        F: for<'c> FnOnce(&'c mut Session) -> BoxFuture<'c, Result<T, sqlx::Error>>
            + Send
            + 'static,
        T: Send + 'static,
    {
        self.call(operation, Scope::Transaction, work).await
    }

    /// Runs a seed, an audit or a restoration in one transaction, within
    /// [`LONG_STATEMENT_TIMEOUT`].
    pub(super) async fn run_long<T, F>(
        &self,
        operation: &'static str,
        work: F,
    ) -> Result<T, BackendError>
    where
        F: for<'c> FnOnce(&'c mut Session) -> BoxFuture<'c, Result<T, sqlx::Error>>
            + Send
            + 'static,
        T: Send + 'static,
    {
        self.call(operation, Scope::LongTransaction, work).await
    }

    async fn call<T, F>(
        &self,
        operation: &'static str,
        scope: Scope,
        work: F,
    ) -> Result<T, BackendError>
    where
        F: for<'c> FnOnce(&'c mut Session) -> BoxFuture<'c, Result<T, sqlx::Error>>
            + Send
            + 'static,
        T: Send + 'static,
    {
        let turn = match scope {
            Scope::LongTransaction => Some(self.connections.long_turn(operation).await?),
            Scope::Statement | Scope::Transaction => None,
        };
        let answers = self.metrics.postgres.answers();
        let timer = self.clock.start_timer();
        // Boxed: its state is large, every future that may ask Postgres would carry it, and those
        // of requests are moved on their way.
        let outcome = match Box::pin(self.connections.acquire(operation)).await {
            // A task of its own: a caller that goes away leaves a connection that can be used.
            Ok(acquired) => {
                let work = execute(acquired, operation, scope, work);
                let work = async move {
                    let outcome = work.await;
                    drop(turn);
                    outcome
                };
                let task = tokio::spawn(work).await;
                task.unwrap_or_else(|error| Err(ended(operation, &error)))
            }
            Err(error) => Err(error),
        };
        self.metrics.time_query(operation, timer.elapsed());
        match &outcome {
            Err(error) if error.is_silence() => {
                let now = self.clock.now();
                self.metrics.postgres.note_silence(answers, now, error);
            }
            _ => self.metrics.postgres.note_answer(|| self.clock.now()),
        }
        outcome
    }

    /// The counts of sold items that are used again.
    pub(super) fn sold_counts(&self) -> &SoldCounts {
        &self.sold_counts
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn count_connections(&self) -> (i64, i64) {
        let (in_use, idle) = self.connections.count();
        let count = |n| i64::try_from(n).unwrap_or(i64::MAX);
        (count(in_use), count(idle))
    }
}

/// What a call needs around its statements.
#[derive(Debug, Clone, Copy)]
enum Scope {
    /// One statement, which is a transaction by itself in a dedicated session: one round trip.
    Statement,
    /// One transaction.
    Transaction,
    /// One transaction that may take long.
    LongTransaction,
}

impl Scope {
    fn limit(self) -> Duration {
        match self {
            Self::Statement | Self::Transaction => STATEMENT_TIMEOUT,
            Self::LongTransaction => LONG_STATEMENT_TIMEOUT,
        }
    }

    /// What begins its transaction, where it has one.
    fn begin(self, kind: SessionKind) -> Option<&'static str> {
        match (self, kind) {
            (Self::Statement, SessionKind::Dedicated) => None,
            (Self::LongTransaction, _) => Some(include_str!("sql/begin_long.sql")),
            _ => Some(include_str!("sql/begin.sql")),
        }
    }

    async fn run<T, F>(self, session: &mut Session, work: F) -> Result<T, sqlx::Error>
    where
        F: for<'c> FnOnce(&'c mut Session) -> BoxFuture<'c, Result<T, sqlx::Error>>,
    {
        if let Some(script) = self.begin(session.kind()) {
            session.begin(script).await?;
        }
        let value = work(session).await?;
        session.commit().await?;
        Ok(value)
    }
}

async fn execute<T, F>(
    mut acquired: Acquired,
    operation: &'static str,
    scope: Scope,
    work: F,
) -> Result<T, BackendError>
where
    F: for<'c> FnOnce(&'c mut Session) -> BoxFuture<'c, Result<T, sqlx::Error>>,
{
    let limit = scope.limit();
    let outcome = match tokio::time::timeout(limit, scope.run(acquired.session(), work)).await {
        Ok(outcome) => outcome.map_err(|error| from_sqlx(operation, &error)),
        Err(_) => Err(timed_out(operation, limit)),
    };
    acquired.finish(outcome.as_ref().err()).await;
    outcome
}

/// The task of a call has panicked, or the program ends.
fn ended(operation: &'static str, error: &tokio::task::JoinError) -> BackendError {
    BackendError::Postgres {
        operation,
        sqlstate: None,
        message: error.to_string(),
    }
}
