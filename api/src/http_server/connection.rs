//! One HTTP/1.1 connection from accept to close.
//!
//! Guarantees: TCP_NODELAY is set. A connection closes when a wait for its client exceeds its limit
//! ([`super::connection_timer`]). HTTP/2 is not supported: its preface closes the connection.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Endpoint, Request, Response};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::client_stream::ClientStream;
use super::connection_timer::{ConnectionTimeouts, ConnectionTimer};

/// The largest head of a request, and the largest read buffer of a connection.
const BUFFER_BYTES: usize = 64 * 1024;

/// The state of the server, which all its connections share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerState {
    /// Connections take requests.
    Open,
    /// Connections take no further requests.
    Closing,
    /// Connections close without the responses in progress.
    Aborted,
}

/// Serves one connection to its end.
pub async fn serve_connection<E: Endpoint<Output = Response>>(
    stream: TcpStream,
    endpoint: Arc<E>,
    timeouts: ConnectionTimeouts,
    mut state: watch::Receiver<ServerState>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let remote = RemoteAddr(stream.peer_addr()?.into());
    let local = LocalAddr(stream.local_addr()?.into());
    let timer = ConnectionTimer::new(&timeouts);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let in_progress = timer.start_response();
        let request = Request::from((request, local.clone(), remote.clone(), Scheme::HTTP));
        let endpoint = endpoint.clone();
        async move {
            let response = endpoint.get_response(request).await;
            drop(in_progress);
            Ok::<hyper::Response<_>, Infallible>(response.into())
        }
    });
    let stream = TokioIo::new(ClientStream::new(stream, timer.clone()));
    let mut connection = pin!(
        http1::Builder::new()
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(stream, service)
    );
    let mut next_tick = pin!(tokio::time::sleep(timeouts.tick()));
    let mut closing = *state.borrow_and_update() == ServerState::Closing;
    loop {
        tokio::select! {
            biased;
            // An error is the client's: it disconnected or sent no HTTP.
            _ = connection.as_mut() => return Ok(()),
            changed = state.changed() => match (changed, *state.borrow_and_update()) {
                (Ok(()), ServerState::Open) => {}
                (Ok(()), ServerState::Closing) => {
                    closing = true;
                    timer.start_closing();
                }
                (Err(_), _) | (_, ServerState::Aborted) => return Ok(()),
            },
            () = next_tick.as_mut() => {
                timer.tick();
                next_tick.set(tokio::time::sleep(timeouts.tick()));
                if timer.is_expired(closing) {
                    return Ok(());
                }
            }
        }
        // A new connection is still served once: its client connected before the server closed.
        if closing && !timer.is_new() {
            connection.as_mut().graceful_shutdown();
        }
    }
}
