//! Addresses of Redis nodes, as nodes announce them.

use std::fmt;
use std::sync::Arc;

/// The address of a Redis node: a host name or an IP address, and a port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeAddress {
    host: Arc<str>,
    port: u16,
}

impl NodeAddress {
    /// An address; `host` is a name, an IPv4 address, or an IPv6 address without brackets.
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// The host, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address in a redirection, `host:port`, that the node at `asked` gave. An empty host is
    /// that of the node that was asked. None where the node does not have the address either.
    pub(super) fn announced(text: &str, asked: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Self::announced_parts(host, port, asked)
    }

    /// The same with host and port apart.
    pub(super) fn announced_parts(host: &str, port: u16, asked: &Self) -> Option<Self> {
        match host {
            "?" => None,
            _ if port == 0 => None,
            // A node that listens everywhere may announce no address of its own.
            "" | "0.0.0.0" | "::" => Some(Self::new(asked.host(), port)),
            host => Some(Self::new(host, port)),
        }
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_redirections_are_names_ipv4_ipv6_or_the_host_that_was_asked() {
        let asked = NodeAddress::new("redis-0.redis", 6379);
        for (text, expected) in [
            ("10.0.0.7:6380", Some("10.0.0.7:6380")),
            ("redis-1.redis:6379", Some("redis-1.redis:6379")),
            ("fd00::7:6379", Some("[fd00::7]:6379")),
            ("[fd00::7]:6379", Some("[fd00::7]:6379")),
            (":6381", Some("redis-0.redis:6381")),
            ("0.0.0.0:6381", Some("redis-0.redis:6381")),
            ("?:6381", None),
            ("10.0.0.7:0", None),
            ("10.0.0.7", None),
            ("10.0.0.7:port", None),
        ] {
            let found = NodeAddress::announced(text, &asked);
            let found = found.map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
