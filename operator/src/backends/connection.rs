//! Connections to the backends, made when they are first needed and shared.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, Weak};

use flashsale_engine::postgres::operations::Postgres;
use flashsale_engine::redis::commands::Redis;
use flashsale_engine::{
    Admin, Ambient, FlashSaleName, OBSERVED_SALES, PostgresPool, RedisCluster, SaleRecord,
};
use tokio::sync::Mutex;

use super::error::ActionError;
use super::urls::CheckedUrls;

/// What a driver works with.
pub enum Connection<R, P> {
    /// Redis and Postgres: sales are observed, and actions executed.
    Both(Arc<Admin<R, P>>),
    /// Postgres alone: sales are observed, and every action fails.
    PostgresOnly {
        /// Postgres.
        database: Arc<P>,
        /// Why there is no connection to Redis.
        redis_error: Arc<ActionError>,
    },
}

impl<R: Redis, P: Postgres> Connection<R, P> {
    /// Reads the sales of a FlashSale from Postgres: the newest, and all that are not retired.
    pub async fn observe(&self, name: &FlashSaleName) -> Result<Vec<SaleRecord>, ActionError> {
        Ok(match self {
            Self::Both(admin) => admin.observe(name).await?,
            Self::PostgresOnly { database, .. } => {
                database.read_sales(name, OBSERVED_SALES).await?
            }
        })
    }

    /// What executes actions.
    pub fn admin(&self) -> Result<&Admin<R, P>, ActionError> {
        match self {
            Self::Both(admin) => Ok(admin),
            Self::PostgresOnly { redis_error, .. } => Err(ActionError::Shared(redis_error.clone())),
        }
    }
}

/// A connection to real servers.
pub type RealConnection = Connection<RedisCluster, PostgresPool>;

/// The backends at one pair of URLs, which any number of FlashSales share.
pub struct Backends {
    urls: CheckedUrls,
    ambient: Ambient,
    /// Counts attempts to connect that have failed.
    failures: AtomicU64,
    connected: Mutex<Connected>,
}

#[derive(Default)]
struct Connected {
    is_migrated: bool,
    admin: Option<Arc<Admin<RedisCluster, PostgresPool>>>,
    /// Postgres alone, while there is no connection to Redis.
    database: Option<Arc<PostgresPool>>,
    /// Why the last attempt failed.
    error: Option<Arc<ActionError>>,
}

impl Backends {
    /// Does not connect yet.
    pub fn new(urls: CheckedUrls, ambient: Ambient) -> Self {
        Self {
            urls,
            ambient,
            failures: AtomicU64::new(0),
            connected: Mutex::default(),
        }
    }

    /// The connection; the first call migrates the schema and connects.
    pub async fn connect(&self) -> Result<RealConnection, ActionError> {
        let failures = self.failures.load(Ordering::Acquire);
        let mut connected = self.connected.lock().await;
        if let Some(admin) = &connected.admin {
            return Ok(Connection::Both(admin.clone()));
        }
        let error = match &connected.error {
            // A caller that has waited for a failed attempt shares its error: hundreds of attempts,
            // one after the other, would wait for hundreds of time-outs.
            Some(error) if self.failures.load(Ordering::Acquire) > failures => error.clone(),
            _ => match self.try_connect(&mut connected).await {
                Ok(admin) => return Ok(Connection::Both(admin)),
                Err(error) => {
                    self.failures.fetch_add(1, Ordering::AcqRel);
                    connected.error.insert(Arc::new(error)).clone()
                }
            },
        };
        match &connected.database {
            Some(database) if is_redis_away(&error) => Ok(Connection::PostgresOnly {
                database: database.clone(),
                redis_error: error,
            }),
            _ => Err(ActionError::Shared(error)),
        }
    }

    async fn try_connect(
        &self,
        connected: &mut Connected,
    ) -> Result<Arc<Admin<RedisCluster, PostgresPool>>, ActionError> {
        let urls = self.urls.get();
        let (postgres, certificates) = (&urls.postgres, &urls.postgres_certificates);
        if !connected.is_migrated {
            flashsale_engine::migrate(postgres, certificates).await?;
            connected.is_migrated = true;
        }
        let error = match Admin::connect(urls, &self.ambient).await {
            Ok(admin) => {
                connected.database = None;
                return Ok(connected.admin.insert(Arc::new(admin)).clone());
            }
            Err(error) => ActionError::from(error),
        };
        if is_redis_away(&error) && connected.database.is_none() {
            let Ambient { metrics, clock, .. } = self.ambient.clone();
            let database = PostgresPool::connect(postgres, certificates, 1, metrics, clock).await?;
            connected.database = Some(Arc::new(database));
        }
        Err(error)
    }
}

/// Whether Redis failed, and a later attempt may succeed.
fn is_redis_away(error: &ActionError) -> bool {
    error.backend() == Some("Redis") && !error.is_final()
}

/// The [`Backends`] of many FlashSales. FlashSales with the same URLs share theirs, whose
/// connections are closed with the last of these FlashSales.
pub struct SharedBackends {
    ambient: Ambient,
    by_urls: std::sync::Mutex<HashMap<CheckedUrls, Weak<Backends>>>,
}

impl SharedBackends {
    /// No backends yet.
    pub fn new(ambient: Ambient) -> Self {
        Self {
            ambient,
            by_urls: std::sync::Mutex::default(),
        }
    }

    /// The backends at these URLs.
    pub fn at(&self, urls: &CheckedUrls) -> Arc<Backends> {
        let mut by_urls = self.by_urls.lock().unwrap_or_else(PoisonError::into_inner);
        by_urls.retain(|_, backends| backends.strong_count() > 0);
        if let Some(backends) = by_urls.get(urls).and_then(Weak::upgrade) {
            return backends;
        }
        let backends = Arc::new(Backends::new(urls.clone(), self.ambient.clone()));
        by_urls.insert(urls.clone(), Arc::downgrade(&backends));
        backends
    }
}
