//! One keep-alive HTTP/1.1 connection to one target.
//!
//! Promises that a call ends: with an answer, or with an error within the time-out.
//! A request is sent at most once; the only thing tried twice is a connection that
//! turned out to be closed before the request had been written to it. The connection
//! is driven by the task that calls, so that a call costs no switch between tasks.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Longest body that is read, in bytes: a page of 1,000 items with long names fits.
const BODY_LIMIT: usize = 4 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where requests go: `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `host:port`, to connect to.
    address: String,
    host: HeaderValue,
}

impl Target {
    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: &str| Err(format!("expected http://HOST:PORT, found {text:?}: {why}"));
        let uri: Uri = match text.trim().parse() {
            Ok(uri) => uri,
            Err(_) => return wrong("this is no URL"),
        };
        match uri.scheme_str() {
            Some("http") => {}
            Some(_) => return wrong("only http is spoken"),
            None => return wrong("the scheme is missing"),
        }
        let Some(authority) = uri.authority() else {
            return wrong("the host is missing");
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return wrong("a path or query has no place here");
        }
        let host = HeaderValue::from_str(authority.as_str());
        let Ok(host) = host else {
            return wrong("the host cannot be sent");
        };
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self {
            address: format!("{}:{port}", authority.host()),
            host,
        })
    }
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// No connection.
    #[error("no connection: {0}")]
    Connect(std::io::Error),
    /// The connection broke, or what came was not HTTP.
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
    /// The body was cut off or too long.
    #[error("the body was cut off or is longer than {BODY_LIMIT} bytes: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// Silence.
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The generator built a request that is none.
    #[error("the request cannot be sent: {0}")]
    Request(String),
}

impl NoAnswer {
    /// The kind in a report.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Connect(error) if is_out_of_files(error) => "too many open files",
            Self::Connect(_) => "no connection",
            Self::Broken(_) => "connection broken",
            Self::Body(_) => "body cut off",
            Self::TimedOut(_) => "time-out",
            Self::Request(_) => "request not sendable",
        }
    }

    /// What the reader of a report can do about it, where there is something.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Connect(error) if is_out_of_files(error) => {
                "; this process may not open as many connections: \
                 `ulimit -n 65536` before the run, or fewer --connections"
            }
            _ => "",
        }
    }
}

fn is_out_of_files(error: &std::io::Error) -> bool {
    // EMFILE of the process and ENFILE of the machine, the same on every Linux.
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: Bytes,
    /// How long the server asks to be left alone, where it gives that in seconds.
    pub retry_after: Option<Duration>,
}

type Driver = http1::Connection<TokioIo<TcpStream>, Empty<Bytes>>;

struct Wire {
    sender: http1::SendRequest<Empty<Bytes>>,
    driver: Pin<Box<Driver>>,
}

impl Wire {
    /// Lets the connection notice that the server has closed it.
    fn is_open(&mut self) -> bool {
        let mut context = Context::from_waker(std::task::Waker::noop());
        self.driver.as_mut().poll(&mut context).is_pending() && !self.sender.is_closed()
    }
}

/// One connection, opened when it is first needed and again when it broke.
pub struct Client {
    target: Arc<Target>,
    timeout: Duration,
    wire: Option<Wire>,
}

impl Client {
    /// A client that has not connected yet. A call has no answer when none came
    /// within `timeout`, connecting included.
    #[must_use]
    pub fn new(target: Arc<Target>, timeout: Duration) -> Self {
        Self {
            target,
            timeout,
            wire: None,
        }
    }

    /// The target it talks to.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Opens the connection ahead of the first call.
    ///
    /// # Errors
    /// When there is nobody to connect to within 5 s.
    pub async fn connect(&mut self) -> Result<(), NoAnswer> {
        if self.wire.as_mut().is_some_and(Wire::is_open) {
            return Ok(());
        }
        self.wire = None;
        let stream = tokio::time::timeout(
            CONNECT_TIMEOUT,
            TcpStream::connect(self.target.address.as_str()),
        )
        .await
        .map_err(|_| NoAnswer::Connect(std::io::ErrorKind::TimedOut.into()))?
        .map_err(NoAnswer::Connect)?;
        // Without it a small request waits for the acknowledgement of the one before.
        stream.set_nodelay(true).map_err(NoAnswer::Connect)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        self.wire = Some(Wire {
            sender,
            driver: Box::pin(driver),
        });
        Ok(())
    }

    /// Status and body of `GET path`, without a request id.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&mut self, path: &str) -> Result<(u16, Bytes), NoAnswer> {
        let response = self.send(Method::GET, path.to_owned(), None).await?;
        Ok((response.status, response.body))
    }

    /// Sends one request without a body and reads the whole answer.
    ///
    /// # Errors
    /// When there is no answer; the request may have had its effect all the same.
    pub async fn send(
        &mut self,
        method: Method,
        path: String,
        request_id: Option<String>,
    ) -> Result<Response, NoAnswer> {
        let request = self.request(method, path, request_id)?;
        let sent = tokio::time::timeout(self.timeout, async {
            self.connect().await?;
            let Some(wire) = self.wire.as_mut() else {
                return Err(NoAnswer::Connect(std::io::ErrorKind::NotConnected.into()));
            };
            exchange(wire, request).await
        })
        .await
        .unwrap_or(Err(NoAnswer::TimedOut(self.timeout)));
        if sent.is_err() {
            // An answer that comes late would be taken for that of the next request.
            self.wire = None;
        }
        sent
    }

    fn request(
        &self,
        method: Method,
        path: String,
        request_id: Option<String>,
    ) -> Result<Request<Empty<Bytes>>, NoAnswer> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = method;
        *request.uri_mut() =
            Uri::from_maybe_shared(path).map_err(|error| NoAnswer::Request(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.target.host.clone());
        if let Some(id) = request_id {
            let id = HeaderValue::from_maybe_shared(Bytes::from(id))
                .map_err(|error| NoAnswer::Request(error.to_string()))?;
            headers.insert(&REQUEST_ID, id);
        }
        Ok(request)
    }
}

async fn exchange(wire: &mut Wire, request: Request<Empty<Bytes>>) -> Result<Response, NoAnswer> {
    let Wire { sender, driver } = wire;
    let mut answer = pin!(async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(seconds);
        let body = Limited::new(response.into_body(), BODY_LIMIT)
            .collect()
            .await
            .map_err(NoAnswer::Body)?;
        Ok(Response {
            status,
            body: body.to_bytes(),
            retry_after,
        })
    });
    let mut driver_done = false;
    poll_fn(move |context| {
        // Answer, driver, answer: the request is written, and what has arrived is
        // handed over, within one wake-up.
        if let Poll::Ready(answer) = answer.as_mut().poll(context) {
            return Poll::Ready(answer);
        }
        if !driver_done {
            // Its error reaches the answer too, as that of the request.
            driver_done = driver.as_mut().poll(context).is_ready();
        }
        answer.as_mut().poll(context)
    })
    .await
}

fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_out_of_files_is_told_what_to_do() {
        let no_more = NoAnswer::Connect(std::io::Error::from_raw_os_error(24));
        assert_eq!(no_more.kind(), "too many open files");
        assert!(no_more.advice().contains("ulimit -n"));
        let refused = NoAnswer::Connect(std::io::ErrorKind::ConnectionRefused.into());
        assert_eq!((refused.kind(), refused.advice()), ("no connection", ""));
    }

    #[test]
    fn targets_are_http_hosts_and_nothing_else() {
        let target = "http://127.0.0.1:8080/".parse::<Target>();
        assert_eq!(target.as_ref().map(Target::address), Ok("127.0.0.1:8080"));
        let default_port = "http://shop".parse::<Target>();
        assert_eq!(default_port.as_ref().map(Target::address), Ok("shop:80"));
        for wrong in [
            "https://shop",
            "shop:80",
            "127.0.0.1",
            "http://",
            "http://shop/path",
            "http://shop/?q=1",
            "",
        ] {
            let error = wrong.parse::<Target>().err().unwrap_or_default();
            assert!(
                error.starts_with("expected http://HOST:PORT"),
                "{wrong}: {error}"
            );
        }
    }
}
