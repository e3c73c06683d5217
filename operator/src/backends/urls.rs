//! The URLs of Redis and Postgres, checked.

use flashsale_engine::{BackendUrls, Certificates, PostgresAddress, RedisCluster};
use redis::IntoConnectionInfo;

use crate::planner::FieldError;

/// The URL of Redis. Holds a password, so it has no `Debug` and is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RedisUrl(String);

/// The URL of Postgres. Holds a password, so it has no `Debug` and is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PostgresUrl(String);

/// Where the backends of a FlashSale are: URLs that have been checked, with their certificates.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CheckedUrls(BackendUrls);

impl CheckedUrls {
    /// The URLs of both backends, with what connections over TLS are verified with.
    pub fn new(
        (redis, redis_certificates): (RedisUrl, Certificates),
        (postgres, postgres_certificates): (PostgresUrl, Certificates),
    ) -> Self {
        Self(BackendUrls {
            redis: redis.0,
            redis_certificates,
            postgres: postgres.0,
            postgres_certificates,
        })
    }

    /// The URLs as the engine takes them. They hold passwords.
    pub fn get(&self) -> &BackendUrls {
        &self.0
    }
}

impl RedisUrl {
    /// Reads the addresses of one or more nodes, separated by commas. `from` is the field or the
    /// option that holds them. White space around them, usual in Secrets, is dropped.
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
        let urls = nodes.join(",");
        RedisCluster::check_url(&urls).map_err(|_| {
            fail("addresses of Redis that differ in user, password or TLS".to_owned())
        })?;
        Ok(Self(urls))
    }
}

impl PostgresUrl {
    /// Reads the address of a database; as [`RedisUrl::parse`].
    pub fn parse(from: &str, text: &str) -> Result<Self, FieldError> {
        PostgresAddress::parse(text).map_err(|error| FieldError {
            path: from.to_owned(),
            found: error.found,
            expected: error.expected,
        })?;
        Ok(Self(text.trim().to_owned()))
    }

    /// The URL. It holds a password.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests;
