//! The pool of connections to Postgres.
//!
//! Guarantees: no statement waits longer than its limit, [`STATEMENT_TIMEOUT`] unless it says
//! otherwise, and the server gives it up a little earlier, so that nothing goes on unwatched; a
//! pool that keeps timing out is replaced, because permits of connections that died silently are
//! never given back.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};

use crate::domain::clock::Clock;
use crate::domain::error::BackendError;
use crate::observability::metrics::Metrics;
use crate::postgres::operations::Postgres;

/// The longest that a statement may take, on both sides of the connection.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest that a seed, an audit or a migration may take.
pub const LONG_STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// What the server is told, for both limits: half a second less.
const SERVER_TIMEOUT: &str = "2500ms";
const BEGIN_LONG_STATEMENT: &str = "SET statement_timeout = '59500ms'";
const END_LONG_STATEMENT: &str = "RESET statement_timeout";

const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1_000);

/// A connection that was idle longer is pinged before it is used.
const PING_AFTER_IDLE: Duration = Duration::from_millis(500);

/// Consecutive time-outs after which the pool is thought to be leaking.
const TIMEOUTS_BEFORE_NEW_POOL: u32 = 5;

/// A pool of connections to the database that keeps the truth: the adapter of [`Postgres`].
pub struct PostgresPool {
    pool: ArcSwap<PgPool>,
    options: PgConnectOptions,
    max_connections: u32,
    timeouts: AtomicU32,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl std::fmt::Debug for PostgresPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgresPool")
    }
}

pub(super) fn options(url: &str) -> Result<PgConnectOptions, BackendError> {
    let bad_url = || BackendError::Url {
        backend: "Postgres",
        expected: "postgres://user[:password]@host[:port]/database",
    };
    // The library takes any scheme, and then connects to somewhere else for ever.
    if !["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
    {
        return Err(bad_url());
    }
    let options = PgConnectOptions::from_str(url).map_err(|_| bad_url())?;
    Ok(options
        .application_name("flashsale")
        .log_statements(log::LevelFilter::Off)
        .log_slow_statements(log::LevelFilter::Warn, Duration::from_secs(1)))
}

impl PostgresPool {
    /// Makes the pool and tries one connection.
    pub async fn connect(
        url: &str,
        max_connections: u32,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Result<Self, BackendError> {
        let options = options(url)?;
        let database = Self {
            pool: ArcSwap::from_pointee(pool(&options, max_connections)),
            options,
            max_connections,
            timeouts: AtomicU32::new(0),
            metrics,
            clock,
        };
        database.ping().await?;
        Ok(database)
    }

    /// Runs `work` on a connection of the pool, within [`STATEMENT_TIMEOUT`].
    pub(super) async fn run<T, F>(
        &self,
        operation: &'static str,
        work: F,
    ) -> Result<T, BackendError>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>,
    {
        self.run_within(operation, STATEMENT_TIMEOUT, work).await
    }

    /// Runs `work`, a seed, an audit or a restoration, within [`LONG_STATEMENT_TIMEOUT`].
    pub(super) async fn run_long<T, F>(
        &self,
        operation: &'static str,
        work: F,
    ) -> Result<T, BackendError>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>
            + Send
            + 'static,
        T: Send,
    {
        self.run_within(operation, LONG_STATEMENT_TIMEOUT, |connection| {
            Box::pin(async move {
                sqlx::query(BEGIN_LONG_STATEMENT)
                    .execute(&mut *connection)
                    .await?;
                let done = work(connection).await;
                sqlx::query(END_LONG_STATEMENT).execute(connection).await?;
                done
            })
        })
        .await
    }

    async fn run_within<T, F>(
        &self,
        operation: &'static str,
        limit: Duration,
        work: F,
    ) -> Result<T, BackendError>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>,
    {
        let pool = self.pool.load_full();
        let timer = self.clock.start_timer();
        // Boxed: its state is some 14 KiB, which every future that may ask Postgres would carry,
        // and those of requests are moved on their way.
        let outcome = match Box::pin(pool.acquire()).await {
            Ok(mut connection) => {
                match tokio::time::timeout(limit, work(&mut connection)).await {
                    Ok(outcome) => outcome.map_err(|error| from_sqlx(operation, &error)),
                    Err(_) => {
                        // Its answer may still come; nobody else may read it.
                        connection.close_on_drop();
                        Err(timed_out(operation, limit))
                    }
                }
            }
            Err(sqlx::Error::PoolTimedOut) => Err(timed_out(operation, ACQUIRE_TIMEOUT)),
            Err(error) => Err(from_sqlx(operation, &error)),
        };
        self.metrics.time_query(operation, timer.elapsed());
        self.note(&outcome);
        outcome
    }

    fn note<T>(&self, outcome: &Result<T, BackendError>) {
        if !matches!(outcome, Err(BackendError::TimedOut { .. })) {
            self.timeouts.store(0, Ordering::Relaxed);
            return;
        }
        if self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 == TIMEOUTS_BEFORE_NEW_POOL {
            self.timeouts.store(0, Ordering::Relaxed);
            tracing::warn!("Postgres keeps timing out: making a new connection pool");
            let old = self
                .pool
                .swap(Arc::new(pool(&self.options, self.max_connections)));
            tokio::spawn(async move { old.close().await });
        }
    }

    pub(super) fn count_connections(&self) -> (i64, i64) {
        let pool = self.pool.load();
        let idle = i64::try_from(pool.num_idle()).unwrap_or(i64::MAX);
        ((i64::from(pool.size()) - idle).max(0), idle)
    }
}

fn pool(options: &PgConnectOptions, max_connections: u32) -> PgPool {
    let options = options.clone().options([
        ("statement_timeout", SERVER_TIMEOUT),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "5s"),
    ]);
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        // A ping for every statement would cost a round trip; one for a connection that has
        // rested finds out that the server restarted meanwhile.
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > PING_AFTER_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .idle_timeout(Duration::from_secs(60))
        .connect_lazy_with(options)
}

pub(super) fn timed_out(operation: &'static str, after: Duration) -> BackendError {
    BackendError::TimedOut {
        backend: "Postgres",
        operation,
        after,
    }
}

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
