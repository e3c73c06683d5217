//! A port: bind, accept connections, drain.
//!
//! Guarantees: at most `max_connections` are open, and further ones wait in the backlog. After an
//! error of `accept` (no file descriptors left) the next attempt waits a moment. At the end
//! clients that have connected are still served, and responses in progress are finished.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use poem::{Endpoint, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::connection::{ServerState, serve_connection};
use super::connection_timer::ConnectionTimeouts;

const BACKLOG: i32 = 4_096;
const ACCEPT_RETRY_AFTER: Duration = Duration::from_millis(50);

/// Limits on connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The maximum of open connections.
    pub max_connections: u32,
    /// Time limits of each connection.
    pub timeouts: ConnectionTimeouts,
}

/// A bound port that serves nothing yet.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    limits: Limits,
}

impl Listener {
    /// Binds `address` and listens.
    pub fn bind(address: SocketAddr, limits: Limits) -> io::Result<Self> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self {
            listener: TcpListener::from_std(socket.into())?,
            limits,
        })
    }

    /// The bound address, with the real port where `bind` had port 0.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `end`. Responses in progress then have the time `finish`.
    pub async fn serve<E>(self, endpoint: E, end: impl Future<Output = ()>, finish: Duration)
    where
        E: Endpoint<Output = Response> + 'static,
    {
        let (state, _) = watch::channel(ServerState::Open);
        let server = Server {
            endpoint: Arc::new(endpoint),
            permits: Arc::new(Semaphore::new(self.limits.max_connections as usize)),
            limits: self.limits,
            state,
        };
        let mut end = pin!(end);
        loop {
            tokio::select! {
                biased;
                () = &mut end => break,
                (stream, permit) = server.accept(&self.listener) => server.spawn(stream, permit),
            }
        }
        server.accept_backlog(self.listener);
        server.state.send_replace(ServerState::Closing);
        if tokio::time::timeout(finish, server.all_ended())
            .await
            .is_err()
        {
            server.state.send_replace(ServerState::Aborted);
            server.all_ended().await;
        }
    }
}

struct Server<E> {
    endpoint: Arc<E>,
    /// A permit for each connection.
    permits: Arc<Semaphore>,
    limits: Limits,
    state: watch::Sender<ServerState>,
}

impl<E: Endpoint<Output = Response> + 'static> Server<E> {
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, OwnedSemaphorePermit) {
        loop {
            let Ok(permit) = self.permits.clone().acquire_owned().await else {
                // No code closes the semaphore.
                return std::future::pending().await;
            };
            match listener.accept().await {
                Ok((stream, _)) => return (stream, permit),
                Err(error) => tracing::warn!(error = %error, "accept failed"),
            }
            tokio::time::sleep(ACCEPT_RETRY_AFTER).await;
        }
    }

    /// Accepts all connections of the backlog. A closed listener would reset them.
    fn accept_backlog(&self, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else {
            return;
        };
        while let Ok(permit) = self.permits.clone().try_acquire_owned()
            && let Ok((stream, _)) = listener.accept()
            && stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            self.spawn(stream, permit);
        }
    }

    fn spawn(&self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        let (endpoint, timeouts) = (self.endpoint.clone(), self.limits.timeouts);
        let state = self.state.subscribe();
        tokio::spawn(async move {
            // A client that has disconnected meanwhile has no address any more.
            if let Err(error) = serve_connection(stream, endpoint, timeouts, state).await {
                tracing::debug!(error = %error, "connection lost before it was served");
            }
            drop(permit);
        });
    }

    async fn all_ended(&self) {
        // The error would mean that the semaphore is closed, which no code does.
        let _ = self.permits.acquire_many(self.limits.max_connections).await;
    }
}
