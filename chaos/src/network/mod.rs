//! A network that can fail: a proxy in front of a server on this machine.
//!
//! A proxy passes bytes on, holds them back, delays them, or breaks its connections, as it is told.
//! It runs on threads of its own, so that a busy driver does not slow it down.

mod pump;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// How a proxy treats its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Bytes are passed on.
    Pass,
    /// Bytes are passed on this much later.
    Delay(Duration),
    /// Nothing is passed on; connections stay open, and new ones are accepted and silent. What was
    /// sent arrives when the mode changes.
    Hang,
    /// Connections break, and new ones break at once.
    Cut,
}

/// The threads of all proxies of a run.
pub struct Network {
    runtime: Runtime,
}

impl Network {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("network")
            .enable_all()
            .build()?;
        Ok(Self { runtime })
    }

    /// Opens a proxy on a free port of loopback. It has no server yet: see [`Proxy::lead_to`].
    ///
    /// # Errors
    /// When no port is free.
    pub fn open(&self) -> io::Result<Proxy> {
        let listener = self
            .runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let port = listener.local_addr()?.port();
        let server = Arc::new(AtomicU16::new(0));
        let (mode, _) = watch::channel(Mode::Pass);
        self.runtime
            .spawn(accept(listener, Arc::clone(&server), mode.clone()));
        Ok(Proxy { port, server, mode })
    }
}

/// One proxy. It ends with its [`Network`].
#[derive(Debug, Clone)]
pub struct Proxy {
    port: u16,
    /// 0: none yet.
    server: Arc<AtomicU16>,
    mode: watch::Sender<Mode>,
}

impl Proxy {
    /// The port at which it listens, on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads new connections to the server at this port of loopback.
    pub fn lead_to(&self, port: u16) {
        self.server.store(port, Ordering::Relaxed);
    }

    /// Changes how it treats its connections, also those that are open.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn accept(listener: TcpListener, server: Arc<AtomicU16>, mode: watch::Sender<Mode>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of files, most likely: some will be closed.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let port = server.load(Ordering::Relaxed);
        let mode = mode.subscribe();
        tokio::spawn(async move {
            // A connection that breaks is what a proxy is for.
            let _ = serve(client, port, mode).await;
        });
    }
}

async fn serve(client: TcpStream, port: u16, mut mode: watch::Receiver<Mode>) -> io::Result<()> {
    if matches!(*mode.borrow(), Mode::Cut) {
        return break_off(&client);
    }
    // A client that connects to a host that is silent has no connection to the server either.
    let is_open = mode.wait_for(|mode| *mode != Mode::Hang).await;
    if is_open.map_or(true, |mode| *mode == Mode::Cut) {
        return break_off(&client);
    }
    let server = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    pump::both_ways(client, server, mode).await
}

/// Closes with a reset: the other side does not take it for an orderly end.
fn break_off(stream: &TcpStream) -> io::Result<()> {
    stream.set_zero_linger()
}

#[cfg(test)]
mod tests;
