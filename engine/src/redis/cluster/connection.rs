//! The adapter of seam N to a real node: one connection for each [`NodeConnection`].
//!
//! Guarantees: calls overlap on the connection; one attempt to connect at a time, which ends within
//! [`CONNECT_TIMEOUT`]; a connection that broke, or left a call without a reply, is replaced by the
//! next call; every failure is a value.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisError, RedisResult, ServerError,
    ServerErrorKind, TlsCertificates, Value,
};
use tokio::sync::Mutex;

use super::address::NodeAddress;
use super::node::{Later, Node, NodeFault, NodeReply, NodeResult, Nodes};
use super::seeds::Seeds;
use super::slot_map::Slot;
use super::timeouts::CONNECT_TIMEOUT;
use crate::domain::certificates::Certificates;
use crate::domain::error::BackendError;

/// How connections to the nodes of a cluster are made.
pub struct NodeConnections {
    login: RedisConnectionInfo,
    /// None for connections without TLS.
    tls: Option<TlsCertificates>,
}

impl std::fmt::Debug for NodeConnections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeConnections")
    }
}

impl NodeConnections {
    /// Connections with the login of `seeds`. Fails where the certificates cannot be used.
    pub(super) fn new(seeds: &Seeds, certificates: &Certificates) -> Result<Self, BackendError> {
        // RESP2 is what answers are read as.
        let mut login = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2);
        if let Some(username) = &seeds.username {
            login = login.set_username(username);
        }
        if let Some(password) = &seeds.password {
            login = login.set_password(password);
        }
        let connections = Self {
            login,
            tls: seeds.is_tls.then(|| tls(certificates)),
        };
        for seed in &seeds.addresses {
            connections
                .client(seed)
                .map_err(|error| unusable_certificates(error.to_string()))?;
        }
        Ok(connections)
    }

    fn client(&self, address: &NodeAddress) -> RedisResult<Client> {
        let (host, port) = (address.host().to_owned(), address.port());
        let address = match self.tls {
            None => ConnectionAddr::Tcp(host, port),
            Some(_) => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
        };
        let info: ConnectionInfo = address.into_connection_info()?;
        let info = info
            .set_redis_settings(self.login.clone())
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        match &self.tls {
            None => Client::open(info),
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
        }
    }
}

fn tls(certificates: &Certificates) -> TlsCertificates {
    let client = certificates.client.as_ref();
    let authority = certificates.authority.as_ref();
    TlsCertificates {
        client_tls: client.map(|client| ClientTlsConfig {
            client_cert: client.certificate.clone().into_bytes(),
            client_key: client.key.clone().into_bytes(),
        }),
        root_cert: authority.map(|authority| authority.clone().into_bytes()),
    }
}

fn unusable_certificates(found: impl std::fmt::Debug) -> BackendError {
    BackendError::unexpected(
        "the certificates of Redis",
        "certificates and a private key in PEM (ca.crt, tls.crt, tls.key)",
        found,
    )
}

impl Nodes for NodeConnections {
    type Node = NodeConnection;

    fn node(&self, address: &NodeAddress) -> NodeConnection {
        NodeConnection {
            address: address.clone(),
            client: self.client(address).map_err(|error| error.to_string()),
            current: ArcSwapOption::empty(),
            connecting: Mutex::new(()),
        }
    }
}

/// One node and the connection to it.
pub struct NodeConnection {
    address: NodeAddress,
    client: Result<Client, String>,
    current: ArcSwapOption<MultiplexedConnection>,
    connecting: Mutex<()>,
}

impl std::fmt::Debug for NodeConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NodeConnection")
            .field(&self.address)
            .finish()
    }
}

impl Node for NodeConnection {
    async fn call(&self, command: &Cmd, limit: Duration) -> NodeResult {
        self.send(command, false, limit).await
    }

    async fn call_asking(&self, command: &Cmd, limit: Duration) -> NodeResult {
        self.send(command, true, limit).await
    }
}

impl NodeConnection {
    /// Sends a command over the connection, which is opened first where there is none.
    async fn send(&self, command: &Cmd, is_asking: bool, limit: Duration) -> NodeResult {
        let mut used = None;
        let sent = async {
            let connection = match self.current.load_full() {
                Some(connection) => connection,
                None => self.connect().await.map_err(NodeFault::Unreachable)?,
            };
            let mut shared = MultiplexedConnection::clone(used.insert(connection));
            match exchange(&mut shared, command, is_asking).await {
                Ok(value) => Ok(reply_of(value, &self.address)),
                Err(error) => Err(NodeFault::Disconnected(error.to_string())),
            }
        };
        let result = tokio::time::timeout(limit, sent).await;
        let result = result.unwrap_or(Err(NodeFault::TimedOut));
        if result.is_err() {
            self.drop_connection(used);
        }
        result
    }

    async fn connect(&self) -> Result<Arc<MultiplexedConnection>, String> {
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(connection) = self.current.load_full() {
            return Ok(connection);
        }
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None);
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let connection = connecting.await.map_err(|error| error.to_string())?;
        let connection = Arc::new(connection);
        self.current.store(Some(connection.clone()));
        Ok(connection)
    }

    /// Later calls get another connection; calls on this one keep it.
    fn drop_connection(&self, used: Option<Arc<MultiplexedConnection>>) {
        if used.is_some() {
            self.current.compare_and_swap(&used, None);
        }
    }
}

async fn exchange(
    connection: &mut MultiplexedConnection,
    command: &Cmd,
    is_asking: bool,
) -> RedisResult<Value> {
    if !is_asking {
        return connection.send_packed_command(command).await;
    }
    let mut both = redis::pipe();
    both.cmd("ASKING").add_command(command.clone());
    // One message, of whose two replies the first is left out.
    let mut replies = connection.send_packed_commands(&both, 1, 1).await?;
    Ok(replies.pop().unwrap_or(Value::Nil))
}

/// The reply in what a node answered.
fn reply_of(value: Value, asked: &NodeAddress) -> NodeReply {
    match value {
        Value::ServerError(error) => reply_of_error(error, asked),
        // Errors inside an answer are errors of the whole.
        value => match value.extract_error() {
            Ok(value) => NodeReply::Answer(value),
            Err(error) => error_reply(&error),
        },
    }
}

fn reply_of_error(error: ServerError, asked: &NodeAddress) -> NodeReply {
    match error.kind() {
        Some(ServerErrorKind::Moved) => match redirection(&error, asked) {
            Some((slot, to)) => NodeReply::Moved { slot, to },
            None => error_reply(&error.into()),
        },
        Some(ServerErrorKind::Ask) => match redirection(&error, asked) {
            Some((_, to)) => NodeReply::Ask { to },
            None => error_reply(&error.into()),
        },
        Some(ServerErrorKind::TryAgain) => NodeReply::Later(Later::TryAgain),
        Some(ServerErrorKind::ClusterDown) => NodeReply::Later(Later::ClusterDown),
        Some(ServerErrorKind::BusyLoading) => NodeReply::Later(Later::Loading),
        Some(ServerErrorKind::ReadOnly) => NodeReply::Later(Later::ReadOnly),
        Some(ServerErrorKind::MasterDown) => NodeReply::Later(Later::MasterDown),
        _ => error_reply(&error.into()),
    }
}

/// `MOVED 3999 127.0.0.1:6381`, without the first word.
fn redirection(error: &ServerError, asked: &NodeAddress) -> Option<(Slot, Option<NodeAddress>)> {
    let (slot, to) = error.details()?.trim().split_once(' ')?;
    let slot = Slot::new(slot.parse().ok()?)?;
    Some((slot, NodeAddress::announced(to.trim(), asked)))
}

fn error_reply(error: &RedisError) -> NodeReply {
    NodeReply::Error {
        code: error.code().map(str::to_owned),
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What the node at `asked:7000` replied, from the text of its error.
    fn reply_to(text: &str) -> NodeReply {
        let value = redis::parse_redis_value(text.as_bytes()).unwrap();
        reply_of(value, &NodeAddress::new("asked", 7000))
    }

    #[test]
    fn redirections_and_refusals_are_values() {
        let slot = Slot::new(3_999).unwrap();
        let to = |host: &str, port| Some(NodeAddress::new(host, port));
        for (text, expected) in [
            (
                "-MOVED 3999 10.0.0.1:6381\r\n",
                NodeReply::Moved {
                    slot,
                    to: to("10.0.0.1", 6381),
                },
            ),
            (
                "-MOVED 3999 :6381\r\n",
                NodeReply::Moved {
                    slot,
                    to: to("asked", 6381),
                },
            ),
            (
                "-MOVED 3999 ?:6381\r\n",
                NodeReply::Moved { slot, to: None },
            ),
            (
                "-ASK 3999 fd00::1:6381\r\n",
                NodeReply::Ask {
                    to: to("fd00::1", 6381),
                },
            ),
            (
                "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
                NodeReply::Later(Later::TryAgain),
            ),
            (
                "-CLUSTERDOWN Hash slot not served\r\n",
                NodeReply::Later(Later::ClusterDown),
            ),
            (
                "-LOADING Redis is loading the dataset in memory\r\n",
                NodeReply::Later(Later::Loading),
            ),
            (
                "-READONLY You can't write against a read only replica.\r\n",
                NodeReply::Later(Later::ReadOnly),
            ),
            (
                "+PONG\r\n",
                NodeReply::Answer(Value::SimpleString("PONG".to_owned())),
            ),
        ] {
            assert_eq!(reply_to(text), expected, "{text}");
        }
    }

    #[test]
    fn other_errors_keep_their_code_also_inside_an_answer() {
        for text in ["-UNSEEDED sale\r\n", "*2\r\n:1\r\n-UNSEEDED sale\r\n"] {
            match reply_to(text) {
                NodeReply::Error { code, message } => {
                    assert_eq!(code.as_deref(), Some("UNSEEDED"));
                    assert!(message.contains("sale"), "{message}");
                }
                other => panic!("{other:?}"),
            }
        }
        let malformed = reply_to("-MOVED somewhere\r\n");
        assert!(
            matches!(malformed, NodeReply::Error { .. }),
            "{malformed:?}"
        );
    }
}
