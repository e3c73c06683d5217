//! Requests that are wrong as HTTP: methods, paths, bodies, headers, and bytes that are no request.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use hyper::Method;

use super::fixture::{Fixture, raw_problem};
use super::support::raw_tcp::{self as raw, Raw};

const TEN_MB: usize = 10 * 1024 * 1024;

/// Paths that the service does not have.
const UNKNOWN_PATHS: [&str; 14] = [
    "/",
    "/checkout/",
    "//checkout",
    "/checkout/a/b",
    "/Checkout",
    "/sales",
    "/sales/",
    "/sales/a/items/b",
    "/docs/nothing",
    "/favicon.ico",
    "/../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/%00",
    "/metrics",
];

/// Every path of the service, by its method.
struct Paths {
    posts: Vec<String>,
    gets: Vec<String>,
}

impl Paths {
    fn of(fixture: &Fixture) -> Self {
        let (code, item) = (&fixture.code, fixture.stack.item(1));
        let sale = format!("/sales/{}", fixture.stack.sale.id);
        let fixed = ["/sales/active", "/health", "/docs", "/openapi.json"];
        let mut gets = fixed.map(str::to_owned).to_vec();
        gets.push(format!("/checkout/{code}"));
        gets.push(format!("/purchase/{code}"));
        gets.push(format!("{sale}/items"));
        gets.push(sale);
        Self {
            posts: vec![
                format!("/checkout?user_id=ann&id={item}"),
                format!("/purchase?code={code}"),
            ],
            gets,
        }
    }
}

async fn refuses_other_methods(fixture: &Fixture, paths: &[String], allowed: &str) {
    let brew = Method::from_bytes(b"BREW").unwrap();
    for method in [
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
        Method::TRACE,
        brew,
    ] {
        for path in paths {
            let answer = fixture.call(method.clone(), path).await;
            answer.problem(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some(allowed), "{answer:?}");
        }
    }
}

async fn refuses_get_and_head(fixture: &Fixture, posts: &[String]) {
    for path in posts {
        fixture
            .call(Method::GET, path)
            .await
            .problem(405, "method_not_allowed");
        let head = fixture.call(Method::HEAD, path).await;
        assert_eq!((head.status, head.body.len()), (405, 0), "{head:?}");
        assert!(head.header("x-request-id").is_some());
    }
}

async fn refuses_post_and_answers_head(fixture: &Fixture, gets: &[String]) {
    for path in gets {
        fixture
            .call(Method::POST, path)
            .await
            .problem(405, "method_not_allowed");
        let head = fixture.call(Method::HEAD, path).await;
        assert_eq!(head.status, fixture.call(Method::GET, path).await.status);
        assert!(head.body.is_empty(), "{head:?}");
        assert!(head.header("x-request-id").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_methods_and_paths_are_refused() {
    let fixture = Fixture::start(&[]).await;
    let Paths { posts, gets } = Paths::of(&fixture);
    refuses_other_methods(&fixture, &posts, "POST").await;
    refuses_other_methods(&fixture, &gets, "GET, HEAD").await;
    refuses_get_and_head(&fixture, &posts).await;
    refuses_post_and_answers_head(&fixture, &gets).await;
    for path in UNKNOWN_PATHS {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            let answer = fixture.call(method, path).await;
            answer.problem(404, "not_found");
        }
    }
    let answer = fixture.call(Method::GET, "/sales//items").await;
    answer.problem(400, "invalid_sale_id");
    for method in [Method::GET, Method::POST, Method::OPTIONS] {
        let answer = fixture.call(method, "/%FF").await;
        answer.problem(400, "invalid_path");
    }
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_malformed_and_late_bodies_are_refused() {
    let fixture = Fixture::start(&[]).await;
    let item = fixture.stack.item(1);
    let head = format!("POST /checkout?user_id=ann&id={item} HTTP/1.1\r\nHost: a\r\n");
    // The head alone is refused, also where the client waits for 100 Continue.
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut raw = Raw::connect(fixture.stack.api(0)).await;
        raw.send(format!("{head}{expect}Content-Length: {TEN_MB}\r\n\r\n"))
            .await;
        let answer = String::from_utf8(raw.read_to_close().await).unwrap();
        raw_problem(&answer, 413, "body_too_large");
        fixture.note_checkouts(1);
    }
    // A body of unknown length is read up to the limit. An additional length has no effect.
    let chunks = format!("1000\r\n{}\r\n", "x".repeat(0x1000)).repeat(5);
    for length in ["", "Content-Length: 3\r\n"] {
        let mut raw = Raw::connect(fixture.stack.api(0)).await;
        let head = format!("{head}{length}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
        raw.send(format!("{head}{chunks}0\r\n\r\n")).await;
        let answer = String::from_utf8(raw.read_to_close().await).unwrap();
        raw_problem(&answer, 413, "body_too_large");
        fixture.note_checkouts(1);
    }
    // The client sends all ten megabytes before it reads the response.
    let body = "x".repeat(TEN_MB);
    let chunked = format!("{TEN_MB:x}\r\n{body}\r\n0\r\n\r\n");
    for request in [
        format!("{head}Content-Length: {TEN_MB}\r\n\r\n{body}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunked}"),
    ] {
        let mut raw = Raw::connect(fixture.stack.api(0)).await;
        assert!(raw.send(request).await);
        let answer = String::from_utf8(raw.read_to_close().await).unwrap();
        raw_problem(&answer, 413, "body_too_large");
        fixture.note_checkouts(1);
        fixture.nothing_changed().await;
    }
    // A malformed and a late body get responses, so both are logged.
    for (rest, status, code) in [
        ("not a chunk\r\n", 400, "invalid_request"),
        ("5\r\nhe", 408, "request_timeout"),
    ] {
        let mut raw = Raw::connect(fixture.stack.api(0)).await;
        raw.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n{rest}"))
            .await;
        let answer = String::from_utf8(raw.read_to_close().await).unwrap();
        raw_problem(&answer, status, code);
        fixture.note_checkouts(1);
    }
    fixture.end().await;
}

const GET_HEALTH: &str = "GET /health HTTP/1.1\r\nHost: a\r\n";

/// Bytes that are no HTTP request, with the status of the response.
const NO_HTTP: [(&[u8], Option<u16>); 9] = [
    (b"hello\r\n\r\n", Some(400)),
    (b"\r\n\r\n\r\n\r\n", None),
    (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        Some(400),
    ),
    (b"GET\r\n\r\n", Some(400)),
    (b"GET /health\r\n\r\n", Some(400)),
    (b"GET /health HTTP/9.9\r\n\r\n", Some(400)),
    (b"GET  /health  HTTP/1.1\r\n\r\n", Some(400)),
    (
        b"GET /hea\xff\xfelth HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        Some(400),
    ),
    (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense follows here",
        None,
    ),
];

/// Malformed headers after [`GET_HEALTH`]; each gets 400.
const MALFORMED_HEADERS: [&str; 7] = [
    "No colon\r\n\r\n",
    "X: \0\r\n\r\n",
    "Content-Length: -1\r\n\r\n",
    "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "Content-Length: 99999999999999999999999\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\nnot a chunk\r\n",
    "Transfer-Encoding: gzip\r\n\r\n",
];

/// Requests that hyper refuses: it writes an empty 400, 414 or 431, or closes without a response.
fn malformed_requests(item: &str) -> Vec<(Vec<u8>, Option<u16>)> {
    let post = format!("POST /checkout?user_id=ann&id={item}");
    let long = "x".repeat(100_000);
    let mut many_headers = GET_HEALTH.to_owned();
    for n in 0..1_000 {
        write!(many_headers, "X-{n}: y\r\n").unwrap();
    }
    many_headers.push_str("\r\n");
    let built = [
        (
            format!("{GET_HEALTH}X-Long: {}\r\n\r\n", long.repeat(10)),
            431,
        ),
        (
            format!("{post}{long} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
            414,
        ),
        (
            format!("{post} HTTP/1.1\r\nHost: a\r\nBad Header: 1\r\n\r\n"),
            400,
        ),
        (format!("{post} HTTP/0.9\r\n\r\n"), 400),
        (many_headers, 431),
    ];
    let no_http = NO_HTTP.map(|(bytes, status)| (bytes.to_vec(), status));
    let headers = MALFORMED_HEADERS.map(|end| (format!("{GET_HEALTH}{end}"), 400));
    let texts = headers.into_iter().chain(built);
    let bytes = [
        ((0..=255).cycle().take(5_000).collect(), Some(400)),
        (vec![0; 100_000], Some(400)),
    ];
    no_http
        .into_iter()
        .chain(bytes)
        .chain(texts.map(|(text, status)| (text.into_bytes(), Some(status))))
        .collect()
}

/// Sends bytes and closes the write side, so that a server which waits for more closes as well.
async fn send_and_close(fixture: &Fixture, request: &[u8]) -> String {
    let mut raw = Raw::connect(fixture.stack.api(0)).await;
    raw.send(request).await;
    raw.end().await;
    String::from_utf8_lossy(&raw.read_to_close().await).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_and_change_nothing() {
    let fixture = Fixture::start(&[]).await;
    let item = fixture.stack.item(1);
    let mut wrong = Vec::new();
    for (request, expected) in malformed_requests(item) {
        let start = String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned();
        let answer = send_and_close(&fixture, &request).await;
        if raw::status(&answer) != expected {
            wrong.push(format!(
                "{start:?}: expected {expected:?}, found {answer:?}"
            ));
        }
        fixture.nothing_changed().await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // A URL that is long and within bounds reaches the endpoint, which refuses the id.
    let answer = fixture
        .checkout(&format!("user_id={}&id={item}", "u".repeat(30_000)))
        .await;
    let problem = answer.problem(400, "invalid_user_id");
    assert!(problem["detail"].as_str().unwrap().len() < 300, "{problem}");
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_their_order() {
    let fixture = Fixture::start(&[]).await;
    let mut requests = String::new();
    let expected = [200, 400, 404, 405, 404, 200];
    for request in [
        "GET /health",
        "POST /checkout",
        "POST /checkout?user_id=ann&id=none",
        "DELETE /health",
        "GET /nothing",
    ] {
        write!(requests, "{request} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    }
    requests.push_str("GET /sales/active HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let answer = fixture.raw(requests).await;
    fixture.note_checkouts(2);
    let statuses: Vec<u16> = answer
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| answer[..3].parse().unwrap())
        .collect();
    assert_eq!(statuses, expected, "{answer}");
    fixture.end().await;
}

/// The tests of `http_server` cover the limits; this test covers that the flags set them.
#[tokio::test(flavor = "multi_thread")]
async fn flags_set_the_limits() {
    let fixture = Fixture::start(&[
        "--request-timeout-seconds",
        "1",
        "--idle-timeout-seconds",
        "3",
        "--max-connections",
        "2",
    ])
    .await;
    fixture.close_client_connections();
    let base = fixture.stack.api(0);
    let started = Instant::now();
    let mut silent = [Raw::connect(base).await, Raw::connect(base).await];
    let late = fixture
        .raw("GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(raw::status(&late), Some(200), "{late:?}");
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(3), "{waited:?}");
    for raw in &mut silent {
        assert!(raw.read_to_close().await.is_empty());
    }
    let started = Instant::now();
    let mut half = Raw::connect(base).await;
    half.send("GET /health HT").await;
    assert!(half.read_to_close().await.is_empty());
    let waited = started.elapsed();
    let expected = Duration::from_secs(1)..Duration::from_millis(2_500);
    assert!(expected.contains(&waited), "{waited:?}");
    fixture.end().await;
}
