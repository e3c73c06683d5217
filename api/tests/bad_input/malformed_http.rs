//! Requests that are wrong as HTTP: methods, paths, bodies, headers, and bytes that are no
//! request at all.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use hyper::Method;

use super::fixture::{Story, raw_problem};
use super::support::raw_tcp::{self as raw, Raw};

const TEN_MB: usize = 10 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn wrong_methods_and_paths() {
    let story = Story::begin(&[]).await;
    let item = story.stack.item(1);
    let checkout = format!("/checkout?user_id=ann&id={item}");
    let purchase = format!("/purchase?code={}", story.code);
    let sale = format!("/sales/{}", story.stack.sale.id);
    let (cart, outcome) = (
        format!("/checkout/{}", story.code),
        format!("/purchase/{}", story.code),
    );
    let items = format!("{sale}/items");
    let (posts, gets) = (
        [&checkout, &purchase],
        [
            "/sales/active",
            "/health",
            "/docs",
            "/openapi.json",
            &cart,
            &outcome,
            &sale,
            &items,
        ],
    );
    let brew = Method::from_bytes(b"BREW").unwrap();
    let wrong = [
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
        Method::TRACE,
        brew,
    ];
    for method in &wrong {
        for path in posts.iter().map(|path| path.as_str()).chain(gets) {
            let answer = story.call(method.clone(), path).await;
            answer.problem(405, "method_not_allowed");
            let allowed = if gets.contains(&path) {
                "GET, HEAD"
            } else {
                "POST"
            };
            assert_eq!(answer.header("allow"), Some(allowed), "{answer:?}");
        }
    }
    for path in posts {
        story
            .call(Method::GET, path)
            .await
            .problem(405, "method_not_allowed");
        let head = story.call(Method::HEAD, path).await;
        assert_eq!((head.status, head.body.len()), (405, 0), "{head:?}");
        assert!(head.header("x-request-id").is_some());
    }
    for path in gets {
        story
            .call(Method::POST, path)
            .await
            .problem(405, "method_not_allowed");
        let head = story.call(Method::HEAD, path).await;
        assert_eq!(head.status, story.call(Method::GET, path).await.status);
        assert!(head.body.is_empty(), "{head:?}");
        assert!(head.header("x-request-id").is_some());
    }
    for path in [
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
    ] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            let answer = story.call(method, path).await;
            answer.problem(404, "not_found");
        }
    }
    let answer = story.call(Method::GET, "/sales//items").await;
    answer.problem(400, "invalid_sale_id");
    for method in [Method::GET, Method::POST, Method::OPTIONS] {
        let answer = story.call(method, "/%FF").await;
        answer.problem(400, "invalid_path");
    }
    story.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies() {
    let story = Story::begin(&[]).await;
    let item = story.stack.item(1);
    let head = format!("POST /checkout?user_id=ann&id={item} HTTP/1.1\r\nHost: a\r\n");
    // Refused by its head alone, also where the client asks before it sends.
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut raw = Raw::connect(story.stack.api(0)).await;
        raw.send(format!("{head}{expect}Content-Length: {TEN_MB}\r\n\r\n"))
            .await;
        let answer = String::from_utf8(raw.read_to_close().await).unwrap();
        raw_problem(&answer, 413, "body_too_large");
        story.note_checkouts(1);
    }
    // Of unknown length: read until it is too long; a length beside it hides nothing.
    let chunks = format!("1000\r\n{}\r\n", "x".repeat(0x1000)).repeat(5);
    for length in ["", "Content-Length: 3\r\n"] {
        let mut raw = Raw::connect(story.stack.api(0)).await;
        let head = format!("{head}{length}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
        raw.send(format!("{head}{chunks}0\r\n\r\n")).await;
        let answer = String::from_utf8(raw.read_to_close().await).unwrap();
        raw_problem(&answer, 413, "body_too_large");
        story.note_checkouts(1);
    }
    // All ten megabytes, and only then a look at the answer.
    let body = "x".repeat(TEN_MB);
    let chunked = format!("{TEN_MB:x}\r\n{body}\r\n0\r\n\r\n");
    for request in [
        format!("{head}Content-Length: {TEN_MB}\r\n\r\n{body}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunked}"),
    ] {
        let mut raw = Raw::connect(story.stack.api(0)).await;
        assert!(raw.send(request).await);
        let answer = String::from_utf8(raw.read_to_close().await).unwrap();
        raw_problem(&answer, 413, "body_too_large");
        story.note_checkouts(1);
        story.nothing_changed().await;
    }
    // One that is broken, and one that does not come; both are answered, so both are logged.
    for (rest, status, code) in [
        ("not a chunk\r\n", 400, "invalid_request"),
        ("5\r\nhe", 408, "request_timeout"),
    ] {
        let mut raw = Raw::connect(story.stack.api(0)).await;
        raw.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n{rest}"))
            .await;
        let answer = String::from_utf8(raw.read_to_close().await).unwrap();
        raw_problem(&answer, status, code);
        story.note_checkouts(1);
    }
    story.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http() {
    let story = Story::begin(&[]).await;
    let mut many = "GET /health HTTP/1.1\r\nHost: a\r\n".to_owned();
    for n in 0..1_000 {
        write!(many, "X-{n}: y\r\n").unwrap();
    }
    many.push_str("\r\n");
    let long = "x".repeat(100_000);
    let item = story.stack.item(1);
    let get = "GET /health HTTP/1.1\r\nHost: a\r\n";
    let post = format!("POST /checkout?user_id=ann&id={item}");
    // What hyper says where there is no request to answer: an empty 400, 414 or 431, or
    // nothing but the end.
    let of = |text: String| text.into_bytes();
    let requests: Vec<(Vec<u8>, Option<u16>)> = vec![
        (b"hello\r\n\r\n".to_vec(), Some(400)),
        (b"\r\n\r\n\r\n\r\n".to_vec(), None),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
            Some(400),
        ),
        ((0..=255).cycle().take(5_000).collect(), Some(400)),
        (vec![0; 100_000], Some(400)),
        (b"GET\r\n\r\n".to_vec(), Some(400)),
        (b"GET /health\r\n\r\n".to_vec(), Some(400)),
        (b"GET /health HTTP/9.9\r\n\r\n".to_vec(), Some(400)),
        (b"GET  /health  HTTP/1.1\r\n\r\n".to_vec(), Some(400)),
        (
            b"GET /hea\xff\xfelth HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec(),
            Some(400),
        ),
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense follows here".to_vec(),
            None,
        ),
        (of(format!("{get}No colon\r\n\r\n")), Some(400)),
        (of(format!("{get}X: \0\r\n\r\n")), Some(400)),
        (of(format!("{get}Content-Length: -1\r\n\r\n")), Some(400)),
        (
            of(format!(
                "{get}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"
            )),
            Some(400),
        ),
        (
            of(format!(
                "{get}Content-Length: 99999999999999999999999\r\n\r\n"
            )),
            Some(400),
        ),
        (
            of(format!(
                "{get}Transfer-Encoding: chunked\r\n\r\nnot a chunk\r\n"
            )),
            Some(400),
        ),
        (
            of(format!("{get}Transfer-Encoding: gzip\r\n\r\n")),
            Some(400),
        ),
        (
            of(format!("{get}X-Long: {}\r\n\r\n", long.repeat(10))),
            Some(431),
        ),
        (
            of(format!(
                "{post}{long} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )),
            Some(414),
        ),
        (
            of(format!(
                "{post} HTTP/1.1\r\nHost: a\r\nBad Header: 1\r\n\r\n"
            )),
            Some(400),
        ),
        (of(format!("{post} HTTP/0.9\r\n\r\n")), Some(400)),
        (of(many), Some(431)),
    ];
    let mut wrong = Vec::new();
    for (request, expected) in requests {
        let start = String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned();
        let mut raw = Raw::connect(story.stack.api(0)).await;
        raw.send(&request).await;
        // Nothing more comes, so that a server which waits for the rest closes.
        raw.end().await;
        let answer = String::from_utf8_lossy(&raw.read_to_close().await).into_owned();
        if raw::status(&answer) != expected {
            wrong.push(format!(
                "{start:?}: expected {expected:?}, found {answer:?}"
            ));
        }
        story.nothing_changed().await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // A URL that is long and within bounds reaches the endpoint, which refuses the id.
    let answer = story
        .checkout(&format!("user_id={}&id={item}", "u".repeat(30_000)))
        .await;
    let problem = answer.problem(400, "invalid_user_id");
    assert!(problem["detail"].as_str().unwrap().len() < 300, "{problem}");
    story.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_their_order() {
    let story = Story::begin(&[]).await;
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
    let answer = story.raw(requests).await;
    story.note_checkouts(2);
    let statuses: Vec<u16> = answer
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| answer[..3].parse().unwrap())
        .collect();
    assert_eq!(statuses, expected, "{answer}");
    story.end().await;
}

/// What the port does is told in the tests of serving; this is that the flags reach it.
#[tokio::test(flavor = "multi_thread")]
async fn limits_are_flags() {
    let story = Story::begin(&[
        "--request-timeout-seconds",
        "1",
        "--idle-timeout-seconds",
        "3",
        "--max-connections",
        "2",
    ])
    .await;
    story.client_goes();
    let base = story.stack.api(0);
    let started = Instant::now();
    let mut silent = [Raw::connect(base).await, Raw::connect(base).await];
    let late = story
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
    story.end().await;
}
