//! The connection to Redis and Postgres, made when it is first needed.

use flashsale_engine::StoreError;
use flashsale_engine::admin::{Admin, AdminError};

use crate::settings::FieldError;

/// Where the stores are. Holds passwords, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrls {
    redis: String,
    postgres: String,
}

/// A URL that is none. It is not shown, because it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {store} URL cannot be used: expected {expected}")]
pub struct UrlError {
    store: &'static str,
    expected: &'static str,
}

impl StoreUrls {
    /// Checks the shape of both. White space around them, usual in Secrets, is dropped.
    pub fn new(redis: &str, postgres: &str) -> Result<Self, UrlError> {
        let starts = |url: &str, schemes: [&str; 2]| schemes.iter().any(|s| url.starts_with(s));
        let (redis, postgres) = (redis.trim(), postgres.trim());
        if !redis
            .split(',')
            .all(|url| starts(url.trim(), ["redis://", "rediss://"]))
        {
            let expected =
                "redis://[user:password@]host:port (rediss:// for TLS), several divided by commas";
            return Err(UrlError {
                store: "Redis",
                expected,
            });
        }
        if !starts(postgres, ["postgres://", "postgresql://"]) {
            let expected = "postgres://user[:password]@host[:port]/database";
            return Err(UrlError {
                store: "Postgres",
                expected,
            });
        }
        Ok(Self {
            redis: redis.to_owned(),
            postgres: postgres.to_owned(),
        })
    }
}

/// Why a plan could not be carried out. None of its texts holds a URL.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A store did not do what was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An operation on a sale failed.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The resource and its catalogue do not fit together.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The catalogue cannot be made.
    #[error("the catalogue: {0}")]
    Catalog(#[from] flashsale_engine::catalog::CatalogError),
}

impl Problem {
    /// One word, as the reason of a condition.
    pub fn reason(&self) -> &'static str {
        match self.store_error() {
            Some(StoreError::Url { .. }) => "WrongUrl",
            Some(_) => "Unreachable",
            None => "Invalid",
        }
    }

    /// `Redis` or `Postgres`, where it is one of them that failed.
    pub fn store(&self) -> Option<&'static str> {
        match self.store_error()? {
            StoreError::Redis { .. } | StoreError::Unseeded => Some("Redis"),
            StoreError::Postgres { .. } => Some("Postgres"),
            StoreError::TimedOut { store, .. } | StoreError::Url { store, .. } => Some(store),
            _ => None,
        }
    }

    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) | Self::Admin(AdminError::Store(error)) => Some(error),
            _ => None,
        }
    }

    /// Whether asking again cannot help.
    pub fn is_final(&self) -> bool {
        matches!(self.store_error(), Some(StoreError::Url { .. }))
    }
}

/// The stores of one FlashSale.
pub struct Stores {
    urls: StoreUrls,
    admin: Option<Admin>,
}

impl Stores {
    /// Connects to nothing yet.
    pub fn new(urls: StoreUrls) -> Self {
        Self { urls, admin: None }
    }

    /// The connection; the first time it is made and the schema is brought up to date.
    pub async fn connected(&mut self) -> Result<&Admin, Problem> {
        match self.admin {
            Some(ref admin) => Ok(admin),
            None => {
                flashsale_engine::migrate(&self.urls.postgres).await?;
                let admin = Admin::connect(&self.urls.redis, &self.urls.postgres).await?;
                Ok(self.admin.insert(admin))
            }
        }
    }
}
