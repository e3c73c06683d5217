//! Serving HTTP/1.1 on one port, from the first connection to a drained end.
//!
//! Promises: TCP_NODELAY is set; at most `max_connections` are open, further ones wait in the
//! backlog; no client holds a connection for ever ([`crate::http_server::connection_timer`]); an error of `accept`
//! (no file descriptors left) is waited out instead of spun on. At the end whoever has connected
//! is still served, and answers that are being made are finished. HTTP/2 is not spoken: a
//! client that begins with its preface is disconnected.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Endpoint, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::http_server::connection_timer::{Clock, Patience, Stream};

const BACKLOG: i32 = 4_096;
const ACCEPT_RETRY_AFTER: Duration = Duration::from_millis(50);

/// A head may be this large, and a connection buffers no more than this of what it reads.
const BUFFER_BYTES: usize = 64 * 1024;

/// Limits on connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections at the most.
    pub max_connections: u32,
    /// How long each may keep us waiting.
    pub patience: Patience,
}

/// A port that is listened at, and not yet served.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// No further requests.
    Closing,
    /// Not even the answers that are being made.
    Cut,
}

impl Listener {
    /// Listens at `address`.
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

    /// Where it listens, with the port that port 0 became.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `end`; then answers that are being made have `finish` to get done.
    pub async fn serve<E>(self, endpoint: E, end: impl Future<Output = ()>, finish: Duration)
    where
        E: Endpoint<Output = Response> + 'static,
    {
        let (stage, _) = watch::channel(Stage::Open);
        let server = Server {
            endpoint: Arc::new(endpoint),
            permits: Arc::new(Semaphore::new(self.limits.max_connections as usize)),
            limits: self.limits,
            stage,
        };
        let mut end = pin!(end);
        loop {
            tokio::select! {
                biased;
                () = &mut end => break,
                (stream, permit) = server.accept(&self.listener) => server.spawn(stream, permit),
            }
        }
        server.take_backlog(self.listener);
        server.stage.send_replace(Stage::Closing);
        if tokio::time::timeout(finish, server.all_ended())
            .await
            .is_err()
        {
            server.stage.send_replace(Stage::Cut);
            server.all_ended().await;
        }
    }
}

struct Server<E> {
    endpoint: Arc<E>,
    /// One for each connection.
    permits: Arc<Semaphore>,
    limits: Limits,
    stage: watch::Sender<Stage>,
}

impl<E: Endpoint<Output = Response> + 'static> Server<E> {
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, OwnedSemaphorePermit) {
        loop {
            let Ok(permit) = self.permits.clone().acquire_owned().await else {
                // Nobody closes the semaphore.
                return std::future::pending().await;
            };
            match listener.accept().await {
                Ok((stream, _)) => return (stream, permit),
                Err(error) => tracing::warn!(error = %error, "accept failed"),
            }
            tokio::time::sleep(ACCEPT_RETRY_AFTER).await;
        }
    }

    /// Accepts whoever has connected already: closing the listener would reset them.
    fn take_backlog(&self, listener: TcpListener) {
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
        let (endpoint, patience) = (self.endpoint.clone(), self.limits.patience);
        let stage = self.stage.subscribe();
        tokio::spawn(async move {
            // A client that has left meanwhile has no address any more.
            if let Err(error) = drive(stream, endpoint, patience, stage).await {
                tracing::debug!(error = %error, "connection lost before it was served");
            }
            drop(permit);
        });
    }

    async fn all_ended(&self) {
        // The error would mean that the semaphore is closed, which nobody does.
        let _ = self.permits.acquire_many(self.limits.max_connections).await;
    }
}

/// Serves one connection to its end.
async fn drive<E: Endpoint<Output = Response>>(
    stream: TcpStream,
    endpoint: Arc<E>,
    patience: Patience,
    mut stage: watch::Receiver<Stage>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let remote = RemoteAddr(stream.peer_addr()?.into());
    let local = LocalAddr(stream.local_addr()?.into());
    let clock = Clock::new(&patience);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let answering = clock.answering();
        let request = Request::from((request, local.clone(), remote.clone(), Scheme::HTTP));
        let endpoint = endpoint.clone();
        async move {
            let response = endpoint.get_response(request).await;
            drop(answering);
            Ok::<hyper::Response<_>, Infallible>(response.into())
        }
    });
    let stream = TokioIo::new(Stream::new(stream, clock.clone()));
    let mut connection = pin!(
        http1::Builder::new()
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(stream, service)
    );
    let mut alarm = pin!(tokio::time::sleep(patience.tick()));
    let mut closing = *stage.borrow_and_update() == Stage::Closing;
    loop {
        tokio::select! {
            biased;
            // An error is the client's: it left, or sent what is no HTTP and was told so.
            _ = connection.as_mut() => return Ok(()),
            changed = stage.changed() => match (changed, *stage.borrow_and_update()) {
                (Ok(()), Stage::Open) => {}
                (Ok(()), Stage::Closing) => {
                    closing = true;
                    clock.closing();
                }
                (Err(_), _) | (_, Stage::Cut) => return Ok(()),
            },
            () = alarm.as_mut() => {
                clock.tick();
                alarm.set(tokio::time::sleep(patience.tick()));
                if clock.is_over(closing) {
                    return Ok(());
                }
            }
        }
        // A client that has just connected is served once: it could not know better.
        if closing && !clock.is_new() {
            connection.as_mut().graceful_shutdown();
        }
    }
}
