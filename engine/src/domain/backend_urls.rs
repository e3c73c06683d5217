//! Where the backends are.

use std::fmt;

use crate::domain::certificates::Certificates;

/// Where the backends are, and what connections to them over TLS are verified with.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BackendUrls {
    /// Nodes of the Redis Cluster, comma separated.
    pub redis: String,
    /// For nodes with the scheme `rediss`; without effect for others.
    pub redis_certificates: Certificates,
    /// The database.
    pub postgres: String,
    /// With an authority the name of the server is checked too, unless the URL says otherwise.
    pub postgres_certificates: Certificates,
}

impl BackendUrls {
    /// URLs without certificates.
    pub fn new(redis: impl Into<String>, postgres: impl Into<String>) -> Self {
        Self {
            redis: redis.into(),
            redis_certificates: Certificates::NONE,
            postgres: postgres.into(),
            postgres_certificates: Certificates::NONE,
        }
    }
}

impl fmt::Debug for BackendUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // URLs hold passwords.
        f.write_str("BackendUrls")
    }
}
