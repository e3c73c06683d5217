//! The URLs of a cluster: where its first nodes are, and how to log in to all of them.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use super::address::NodeAddress;
use crate::domain::error::BackendError;

/// What the URLs of a cluster say.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Seeds {
    /// Some nodes of the cluster, at least one.
    pub addresses: Vec<NodeAddress>,
    /// The ACL user; none for the default user.
    pub username: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// Whether connections use TLS.
    pub is_tls: bool,
}

impl std::fmt::Debug for Seeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without user and password.
        f.debug_tuple("Seeds").field(&self.addresses).finish()
    }
}

impl Seeds {
    /// Reads the URLs of one or more nodes, divided by commas. User, password and TLS are the same
    /// for all nodes, because they hold for the nodes that the cluster names later as well.
    pub(super) fn parse(urls: &str) -> Result<Self, BackendError> {
        let mut seeds: Option<Self> = None;
        for url in urls.split(',') {
            let next = Self::parse_one(url.trim()).ok_or_else(bad_url)?;
            match &mut seeds {
                None => seeds = Some(next),
                Some(seeds) if seeds.has_login_of(&next) => seeds.addresses.extend(next.addresses),
                Some(_) => return Err(bad_url()),
            }
        }
        seeds.ok_or_else(bad_url)
    }

    fn parse_one(url: &str) -> Option<Self> {
        let info: ConnectionInfo = url.into_connection_info().ok()?;
        let settings = info.redis_settings();
        let (host, port, is_tls) = match info.addr() {
            ConnectionAddr::Tcp(host, port) => (host, *port, false),
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                ..
            } => (host, *port, true),
            _ => return None,
        };
        // A cluster has one database.
        (settings.db() == 0 && !host.is_empty()).then(|| Self {
            addresses: vec![NodeAddress::new(host, port)],
            username: settings.username().map(str::to_owned),
            password: settings.password().map(str::to_owned),
            is_tls,
        })
    }

    fn has_login_of(&self, other: &Self) -> bool {
        (&self.username, &self.password, self.is_tls)
            == (&other.username, &other.password, other.is_tls)
    }
}

fn bad_url() -> BackendError {
    BackendError::Url {
        backend: "Redis",
        expected: "redis://[user:password@]host:port of one or more cluster nodes, comma \
                   separated, with the same user and password (rediss:// for TLS)",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn addresses(urls: &str) -> Vec<String> {
        let seeds = Seeds::parse(urls).unwrap();
        seeds.addresses.iter().map(NodeAddress::to_string).collect()
    }

    #[test]
    fn urls_name_nodes_by_name_ipv4_and_ipv6() {
        assert_eq!(
            addresses("redis://10.0.0.1:7000, redis://redis.shop.svc,redis://[fd00::1]:7001"),
            ["10.0.0.1:7000", "redis.shop.svc:6379", "[fd00::1]:7001"]
        );
    }

    #[test]
    fn user_password_and_tls_hold_for_all_nodes() {
        let seeds = Seeds::parse("rediss://app:s%2Ccret@a:1,rediss://app:s%2Ccret@b:2").unwrap();
        assert!(seeds.is_tls);
        assert_eq!(seeds.username.as_deref(), Some("app"));
        assert_eq!(seeds.password.as_deref(), Some("s,cret"));
        assert!(!format!("{seeds:?}").contains("cret"), "{seeds:?}");
    }

    #[test]
    fn urls_that_cannot_be_used_are_refused_without_being_shown() {
        for urls in [
            "",
            "redis://a:1,",
            "http://a:1",
            "redis+unix:///run/redis",
            "redis://a:1/2",
            "rediss://a:1/#insecure",
            "redis://app:hunter2@a:1,redis://app:other@b:2",
            "redis://a:1,rediss://b:2",
        ] {
            let error = Seeds::parse(urls).unwrap_err();
            assert!(matches!(error, BackendError::Url { .. }), "{urls}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
