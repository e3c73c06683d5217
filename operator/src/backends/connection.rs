//! The connection to Redis and Postgres, made when it is first needed.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, Weak};

use flashsale_engine::postgres::operations::Postgres as _;
use flashsale_engine::{
    AdminError, Ambient, BackendError, FlashSaleName, PostgresPool, RedisCluster, SaleRecord,
};
use redis::IntoConnectionInfo;
use redis::cluster::ClusterClient;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::planner::FieldError;

/// As many sales as [`Admin::observe`] reads.
const NEWEST: u32 = 100;

/// The URL of Redis. Holds a password, so it has no `Debug` and is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RedisUrl(String);

/// The URL of Postgres. Holds a password, so it has no `Debug` and is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PostgresUrl(String);

/// Where the stores are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StoreUrls {
    /// Nodes of the Redis Cluster.
    pub redis: RedisUrl,
    /// The Postgres database.
    pub postgres: PostgresUrl,
}

impl RedisUrl {
    /// Reads the addresses of one or more nodes, divided by commas. `from` is the field or the
    /// option that they came by. White space around them, usual in Secrets, is dropped.
    pub fn parse(from: &str, text: &str) -> Result<Self, FieldError> {
        let fail = |found: String| FieldError {
            path: from.to_owned(),
            found,
            expected: "redis://[user:password@]host[:port] (rediss:// for TLS), several divided \
                       by commas (one inside a password is written %2C)"
                .to_owned(),
        };
        let nodes: Vec<&str> = text.split(',').map(str::trim).collect();
        let count = nodes.len();
        for (n, node) in nodes.iter().enumerate() {
            let address = format!("address {} of {count}", n + 1);
            if node.is_empty() {
                return Err(fail(format!("nothing as {address} of Redis")));
            }
            let scheme = ["redis://", "rediss://"];
            if !scheme.iter().any(|scheme| node.starts_with(scheme)) {
                return Err(fail(format!(
                    "another scheme in {address} of Redis, which is not shown"
                )));
            }
            match node.into_connection_info() {
                Ok(info) if info.redis_settings().db() == 0 => {}
                Ok(_) => {
                    return Err(fail(format!(
                        "a database number in {address} of Redis; a cluster has none"
                    )));
                }
                Err(_) => {
                    return Err(fail(format!(
                        "no URL as {address} of Redis, which is not shown"
                    )));
                }
            }
        }
        ClusterClient::builder(nodes.iter().copied())
            .build()
            .map_err(|_| {
                fail("addresses of Redis that differ in user, password or TLS".to_owned())
            })?;
        Ok(Self(nodes.join(",")))
    }
}

impl PostgresUrl {
    /// Reads the address of a database; as [`RedisUrl::parse`].
    pub fn parse(from: &str, text: &str) -> Result<Self, FieldError> {
        let fail = |found: &str| FieldError {
            path: from.to_owned(),
            found: found.to_owned(),
            expected: "postgres://user[:password]@host[:port]/database".to_owned(),
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(fail("nothing as the URL of Postgres"));
        }
        let behind = ["postgres://", "postgresql://"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme))
            .ok_or_else(|| fail("another scheme in the URL of Postgres, which is not shown"))?;
        if behind.is_empty() || PgConnectOptions::from_str(text).is_err() {
            return Err(fail("no URL of Postgres in a text that is not shown"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The URL, for who connects.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Operations on the sales of real stores.
pub type Admin = flashsale_engine::Admin<RedisCluster, PostgresPool>;

/// Why a plan could not be carried out. None of its texts holds a URL.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A store did not do what was asked.
    #[error(transparent)]
    Store(#[from] BackendError),
    /// An operation on a sale failed.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The resource and its catalogue do not fit together.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The catalogue cannot be made.
    #[error("the catalogue: {0}")]
    Catalog(#[from] flashsale_engine::CatalogError),
    /// What another FlashSale with the same stores came to at the same time.
    #[error(transparent)]
    Shared(Arc<Problem>),
}

impl Problem {
    /// One word, as the reason of a condition.
    pub fn reason(&self) -> &'static str {
        match self.store_error() {
            Some(BackendError::Url { .. }) => "WrongUrl",
            Some(_) if self.store().is_some() => "Unreachable",
            Some(_) => "Failed",
            None => "Invalid",
        }
    }

    /// `Redis` or `Postgres`, where it is one of them that failed.
    pub fn store(&self) -> Option<&'static str> {
        match self.store_error()? {
            BackendError::Redis { .. } | BackendError::Unseeded => Some("Redis"),
            BackendError::Postgres { .. } => Some("Postgres"),
            BackendError::TimedOut { backend, .. } | BackendError::Url { backend, .. } => {
                Some(backend)
            }
            _ => None,
        }
    }

    fn store_error(&self) -> Option<&BackendError> {
        match self {
            Self::Store(error) | Self::Admin(AdminError::Backend(error)) => Some(error),
            Self::Shared(problem) => problem.store_error(),
            _ => None,
        }
    }

    /// Whether asking again cannot help.
    pub fn is_final(&self) -> bool {
        matches!(self.store_error(), Some(BackendError::Url { .. }))
    }
}

/// Connections to the stores at one pair of URLs, which any number of FlashSales share.
pub struct Stores {
    urls: StoreUrls,
    connected: Mutex<Connected>,
}

#[derive(Default)]
struct Connected {
    migrated: bool,
    admin: Option<Arc<Admin>>,
    /// Postgres alone, while Redis keeps `admin` from being made.
    database: Option<Arc<PostgresPool>>,
    /// When connecting failed last, and why.
    failed: Option<(Instant, Arc<Problem>)>,
}

/// What to look with: everything, or Postgres alone and why Redis is not there.
enum Means {
    All(Arc<Admin>),
    Postgres(Arc<PostgresPool>, Problem),
}

/// What a look at the stores has found.
pub struct Look {
    /// The newest sales in Postgres, and all that are not retired.
    pub sales: Vec<SaleRecord>,
    /// What to act with, or why that cannot be done.
    pub admin: Result<Arc<Admin>, Problem>,
}

impl Stores {
    /// Connects to nothing yet.
    pub fn new(urls: StoreUrls) -> Self {
        Self {
            urls,
            connected: Mutex::default(),
        }
    }

    /// Reads what Postgres knows of a FlashSale. The first time it brings the schema up to date
    /// and connects. Redis alone that is away keeps nobody from looking, only from acting.
    pub async fn look(&self, name: &FlashSaleName) -> Result<Look, Problem> {
        match self.means().await? {
            Means::All(admin) => Ok(Look {
                sales: admin.observe(name).await?,
                admin: Ok(admin),
            }),
            Means::Postgres(database, problem) => Ok(Look {
                sales: database.read_sales(name, NEWEST).await?,
                admin: Err(problem),
            }),
        }
    }

    async fn means(&self) -> Result<Means, Problem> {
        let asked_at = Instant::now();
        let mut connected = self.connected.lock().await;
        if let Some(admin) = &connected.admin {
            return Ok(Means::All(admin.clone()));
        }
        // Whoever waited for this attempt shares what came of it: hundreds that make their own,
        // one after the other, would wait for hundreds of time-outs.
        if let Some((at, problem)) = &connected.failed
            && *at > asked_at
        {
            let problem = Problem::Shared(problem.clone());
            return match &connected.database {
                Some(database) if problem.store() == Some("Redis") => {
                    Ok(Means::Postgres(database.clone(), problem))
                }
                _ => Err(problem),
            };
        }
        let made = self.connect(&mut connected).await;
        if let Err(problem) | Ok(Means::Postgres(_, problem)) = made {
            let problem = Arc::new(problem);
            connected.failed = Some((Instant::now(), problem.clone()));
            let problem = Problem::Shared(problem);
            return match &connected.database {
                Some(database) if problem.store() == Some("Redis") && !problem.is_final() => {
                    Ok(Means::Postgres(database.clone(), problem))
                }
                _ => Err(problem),
            };
        }
        made
    }

    async fn connect(&self, connected: &mut Connected) -> Result<Means, Problem> {
        let StoreUrls { redis, postgres } = &self.urls;
        if !connected.migrated {
            flashsale_engine::migrate(&postgres.0).await?;
            connected.migrated = true;
        }
        let ambient = Ambient::system().map_err(AdminError::from)?;
        match Admin::connect(&redis.0, &postgres.0, &ambient).await {
            Ok(admin) => {
                connected.database = None;
                Ok(Means::All(connected.admin.insert(Arc::new(admin)).clone()))
            }
            Err(error) => {
                let problem = Problem::from(error);
                if problem.store() != Some("Redis") || problem.is_final() {
                    return Err(problem);
                }
                let database = match &connected.database {
                    Some(database) => database.clone(),
                    None => {
                        let Ambient { metrics, clock, .. } = ambient;
                        let database =
                            PostgresPool::connect(&postgres.0, 1, metrics, clock).await?;
                        connected.database.insert(Arc::new(database)).clone()
                    }
                };
                Ok(Means::Postgres(database, problem))
            }
        }
    }
}

/// The [`Stores`] of many FlashSales. Those with the same URLs share theirs, which are closed when
/// the last of them is gone.
#[derive(Default)]
pub struct SharedStores {
    by_urls: std::sync::Mutex<HashMap<StoreUrls, Weak<Stores>>>,
}

impl SharedStores {
    /// The stores at these URLs.
    pub fn at(&self, urls: &StoreUrls) -> Arc<Stores> {
        let mut by_urls = self.by_urls.lock().unwrap_or_else(PoisonError::into_inner);
        by_urls.retain(|_, stores| stores.strong_count() > 0);
        if let Some(stores) = by_urls.get(urls).and_then(Weak::upgrade) {
            return stores;
        }
        let stores = Arc::new(Stores::new(urls.clone()));
        by_urls.insert(urls.clone(), Arc::downgrade(&stores));
        stores
    }
}

#[cfg(test)]
mod tests;
