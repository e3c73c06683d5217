//! The connection to Postgres: a pool with bounded waiting, and the migrations.
//!
//! Promises: no statement waits longer than its limit, [`STATEMENT_TIMEOUT`] unless it says
//! otherwise, and the server gives it up a little earlier, so that nothing goes on unwatched; a
//! pool that keeps timing out is replaced, because permits of connections that died silently are
//! never given back.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};

use crate::error::StoreError;
use crate::metrics::Metrics;

/// The longest that a statement may take, on both sides of the connection.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest that a seed, an audit or a migration may take.
pub const LONG_STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// What the server is told, for both limits: half a second less.
const SERVER_TIMEOUT: &str = "2500ms";
const BEGIN_LONG_STATEMENT: &str = "SET statement_timeout = '59500ms'";
const END_LONG_STATEMENT: &str = "RESET statement_timeout";

const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1_000);

/// A connection that rested longer is asked for a sign of life before it is used.
const PING_AFTER_IDLE: Duration = Duration::from_millis(500);

/// Consecutive time-outs after which the pool is thought to be leaking.
const TIMEOUTS_BEFORE_NEW_POOL: u32 = 5;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// A pool of connections to the database that keeps the truth.
pub struct Database {
    pool: ArcSwap<PgPool>,
    options: PgConnectOptions,
    max_connections: u32,
    timeouts: AtomicU32,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database")
    }
}

fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let bad_url = || StoreError::Url {
        store: "Postgres",
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

/// Brings the schema up to date, on a connection of its own: the advisory lock that guards
/// migrations is then given back whatever happens.
pub async fn migrate(url: &str) -> Result<(), StoreError> {
    let failed = |source| StoreError::Postgres {
        what: "migrate",
        source,
    };
    let work = async {
        // Statements may take long; a server that does not even answer is away.
        let options = options(url)?;
        let mut connection = tokio::time::timeout(STATEMENT_TIMEOUT, options.connect())
            .await
            .map_err(|_| timed_out("connect", STATEMENT_TIMEOUT))?
            .map_err(failed)?;
        // `run` takes whatever a connection can be got from, so generally that the compiler cannot
        // tell whether threads may share this future.
        let done = MIGRATOR.run_direct(None, &mut connection, false).await;
        // A connection that fails to say goodbye has still ended.
        let _ = connection.close().await;
        done.map_err(|error| failed(error.into()))
    };
    tokio::time::timeout(LONG_STATEMENT_TIMEOUT, work)
        .await
        .map_err(|_| timed_out("migrate", LONG_STATEMENT_TIMEOUT))?
}

impl Database {
    /// Makes the pool and tries one connection.
    pub async fn connect(
        url: &str,
        max_connections: u32,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let options = options(url)?;
        let database = Self {
            pool: ArcSwap::from_pointee(pool(&options, max_connections)),
            options,
            max_connections,
            timeouts: AtomicU32::new(0),
            metrics,
        };
        database.ping().await?;
        Ok(database)
    }

    /// Asks for nothing, to see whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.run("ping", |connection| {
            Box::pin(async move { sqlx::query("SELECT 1").execute(connection).await.map(drop) })
        })
        .await
    }

    /// Runs `work` on a connection of the pool, within [`STATEMENT_TIMEOUT`].
    pub async fn run<T, F>(&self, what: &'static str, work: F) -> Result<T, StoreError>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>,
    {
        self.run_within(what, STATEMENT_TIMEOUT, work).await
    }

    /// Runs `work`, a seed, an audit or a rebuild, within [`LONG_STATEMENT_TIMEOUT`].
    pub async fn run_long<T, F>(&self, what: &'static str, work: F) -> Result<T, StoreError>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>
            + Send
            + 'static,
        T: Send,
    {
        self.run_within(what, LONG_STATEMENT_TIMEOUT, |connection| {
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
        what: &'static str,
        limit: Duration,
        work: F,
    ) -> Result<T, StoreError>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>,
    {
        let pool = self.pool.load_full();
        let started = Instant::now();
        // Boxed: its state is some 14 KiB, which every future that may ask Postgres would carry,
        // and those of requests are moved on their way.
        let outcome = match Box::pin(pool.acquire()).await {
            Ok(mut connection) => {
                match tokio::time::timeout(limit, work(&mut connection)).await {
                    Ok(outcome) => outcome.map_err(|source| StoreError::Postgres { what, source }),
                    Err(_) => {
                        // Its answer may still come; nobody else may read it.
                        connection.close_on_drop();
                        Err(timed_out(what, limit))
                    }
                }
            }
            Err(sqlx::Error::PoolTimedOut) => Err(timed_out(what, ACQUIRE_TIMEOUT)),
            Err(source) => Err(StoreError::Postgres { what, source }),
        };
        self.metrics.time_query(what, started.elapsed());
        self.note(&outcome);
        outcome
    }

    fn note<T>(&self, outcome: &Result<T, StoreError>) {
        if !matches!(outcome, Err(StoreError::TimedOut { .. })) {
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

    /// How many connections are in use, and how many rest.
    pub fn connections(&self) -> (i64, i64) {
        let pool = self.pool.load();
        let idle = i64::try_from(pool.num_idle()).unwrap_or(i64::MAX);
        ((i64::from(pool.size()) - idle).max(0), idle)
    }

    /// The metrics that statements are counted in.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
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

fn timed_out(what: &'static str, after: Duration) -> StoreError {
    StoreError::TimedOut {
        store: "Postgres",
        what,
        after,
    }
}
