//! A small HTTP/1.1 client with keep-alive. It has no retries and follows no redirects, so that a
//! test gets every response and every failure. A status that is not documented fails the test.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::openapi_document::{self, Documented};

const LIMIT: Duration = Duration::from_secs(30);

type Connection = SendRequest<Empty<Bytes>>;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// No connection: nothing was sent.
    Refused(String),
    /// The connection ended after the request was sent: the request may have had its effect.
    Broken(String),
    /// No response within 30 seconds: the request may have had its effect.
    TimedOut,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// A header's value; none where it is absent. A header that is there twice fails the test.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap());
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Expects a complete problem with this status and code; returns it.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let kind = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        assert!(kind.starts_with("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["type"], format!("urn:flashsale:problem:{code}"));
        for words in ["title", "detail"] {
            let text = problem[words].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "no {words}: {problem}");
        }
        let id = self.header("x-request-id").unwrap_or_default();
        assert!(!id.is_empty(), "no X-Request-Id: {self:?}");
        assert_eq!(problem["request_id"], id, "{problem}");
        let retry = self.header("retry-after");
        assert_eq!(retry.is_some(), status == 503, "{self:?}");
        problem
    }

    /// Whether the server closes the connection behind this answer.
    pub fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// The client. Clones share its idle connections; a call that finds none opens one.
#[derive(Clone, Default)]
pub struct Client {
    idle: Arc<Mutex<HashMap<String, Vec<Connection>>>>,
    checkouts: Arc<AtomicI64>,
    seen: Arc<Mutex<BTreeSet<Documented>>>,
}

impl Client {
    /// Calls of POST /checkout by this client and its clones with a response other than 5xx. The
    /// log of attempts must have as many.
    pub fn answered_checkouts(&self) -> i64 {
        self.checkouts.load(Ordering::Relaxed)
    }

    /// The documented responses that this client and its clones have received.
    pub fn seen(&self) -> BTreeSet<Documented> {
        self.seen.lock().unwrap().clone()
    }

    /// Notes a response as one of this client.
    #[track_caller]
    pub fn note(&self, method: &str, path: &str, status: u16) {
        let documented = openapi_document::responses_of(method, path, status);
        self.seen.lock().unwrap().extend(documented);
    }

    /// Closes all idle connections.
    pub fn close_idle(&self) {
        self.idle.lock().unwrap().clear();
    }

    pub async fn get(&self, url: &str) -> Answer {
        self.call(Method::GET, url, &[]).await
    }

    pub async fn post(&self, url: &str) -> Answer {
        self.call(Method::POST, url, &[]).await
    }

    pub async fn try_get(&self, url: &str) -> Result<Answer, NoAnswer> {
        self.try_call(Method::GET, url, &[]).await
    }

    pub async fn try_post(&self, url: &str) -> Result<Answer, NoAnswer> {
        self.try_call(Method::POST, url, &[]).await
    }

    /// Calls and expects an answer, whatever its status.
    pub async fn call(&self, method: Method, url: &str, headers: &[(&str, &str)]) -> Answer {
        let answer = self.try_call(method.clone(), url, headers).await;
        answer.unwrap_or_else(|error| panic!("{method} {url}: {error:?}"))
    }

    pub async fn try_call(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, NoAnswer> {
        let url: Uri = url.parse().unwrap();
        let work = self.exchange(method, &url, headers);
        let answered = tokio::time::timeout(LIMIT, work).await;
        answered.unwrap_or(Err(NoAnswer::TimedOut))
    }

    async fn exchange(
        &self,
        method: Method,
        url: &Uri,
        headers: &[(&str, &str)],
    ) -> Result<Answer, NoAnswer> {
        let authority = url.authority().unwrap().as_str();
        let mut connection = self.connection(authority).await?;
        let path = url.path_and_query().unwrap().as_str();
        let is_checkout = method == Method::POST && url.path() == "/checkout";
        let asked = method.as_str().to_owned();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, authority);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::new()).unwrap();
        let broken = |error: hyper::Error| NoAnswer::Broken(error.to_string());
        let response = connection.send_request(request).await.map_err(broken)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(broken)?.to_bytes();
        let answer = Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        };
        self.note(&asked, url.path(), answer.status);
        if is_checkout && answer.status < 500 {
            self.checkouts.fetch_add(1, Ordering::Relaxed);
        }
        if !answer.closes() {
            self.put_back(authority, connection);
        }
        Ok(answer)
    }

    async fn connection(&self, authority: &str) -> Result<Connection, NoAnswer> {
        while let Some(mut idle) = self.take(authority) {
            // The server may have closed an idle connection.
            if idle.ready().await.is_ok() {
                return Ok(idle);
            }
        }
        let refused = |error: &dyn std::error::Error| NoAnswer::Refused(error.to_string());
        let stream = TcpStream::connect(authority).await;
        let stream = stream.map_err(|error| refused(&error))?;
        stream.set_nodelay(true).map_err(|error| refused(&error))?;
        let (connection, driver) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| refused(&error))?;
        tokio::spawn(driver);
        Ok(connection)
    }

    fn take(&self, authority: &str) -> Option<Connection> {
        self.idle.lock().unwrap().get_mut(authority)?.pop()
    }

    fn put_back(&self, authority: &str, connection: Connection) {
        let mut idle = self.idle.lock().unwrap();
        idle.entry(authority.to_owned())
            .or_default()
            .push(connection);
    }
}
