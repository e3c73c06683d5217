//! Requests that are wrong as HTTP: methods, paths, bodies, headers, and bytes that are no
//! request at all.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use hyper::Method;

use super::story::{Story, raw_problem};
use super::support::eventually;
use super::support::raw::{self, Raw};

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
            let allowed = if gets.contains(&path) { "GET" } else { "POST" };
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
        assert!(head.status < 500 && head.body.is_empty(), "{head:?}");
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
        "/sales//items",
        "/sales/a/items/b",
        "/docs/nothing",
        "/favicon.ico",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/%00",
        "/%FF",
        "/metrics",
    ] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            let answer = story.call(method.clone(), path).await;
            let expected = [404, 405, 400].contains(&answer.status);
            assert!(expected, "{method} {path}: {answer:?}");
            let code = answer.json()["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            answer.problem(answer.status, &code);
        }
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
    // All ten megabytes, to an endpoint that changes nothing: an answer, or a closed connection.
    let body = "x".repeat(TEN_MB);
    let chunked = format!("{TEN_MB:x}\r\n{body}\r\n0\r\n\r\n");
    for request in [
        format!("GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: {TEN_MB}\r\n\r\n{body}"),
        format!("GET /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
    ] {
        let answer = story.raw(request).await;
        let status = raw::status(&answer);
        assert!([None, Some(413)].contains(&status), "{answer:?}");
        story.nothing_changed().await;
    }
    // A small body, which nobody needs, does no harm.
    let small = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    for body in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let answer = story.raw(format!("{small}{body}")).await;
        assert_eq!(raw::status(&answer), Some(200), "{answer:?}");
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
    let requests: Vec<Vec<u8>> = vec![
        b"hello\r\n\r\n".to_vec(),
        b"\r\n\r\n\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
        (0..=255).cycle().take(5_000).collect(),
        vec![0; 100_000],
        b"GET\r\n\r\n".to_vec(),
        b"GET /health\r\n\r\n".to_vec(),
        b"GET /health HTTP/9.9\r\n\r\n".to_vec(),
        b"GET  /health  HTTP/1.1\r\n\r\n".to_vec(),
        b"GET /hea\xff\xfelth HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense follows here".to_vec(),
        format!("{get}No colon\r\n\r\n").into_bytes(),
        format!("{get}X: \0\r\n\r\n").into_bytes(),
        format!("{get}Content-Length: -1\r\n\r\n").into_bytes(),
        format!("{get}Content-Length: 1\r\nContent-Length: 2\r\n\r\n").into_bytes(),
        format!("{get}Content-Length: 99999999999999999999999\r\n\r\n").into_bytes(),
        format!("{get}Transfer-Encoding: chunked\r\n\r\nnot a chunk\r\n").into_bytes(),
        format!("{get}Transfer-Encoding: gzip\r\n\r\n").into_bytes(),
        format!("{get}X-Long: {}\r\n\r\n", long.repeat(10)).into_bytes(),
        format!("{post}{long} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").into_bytes(),
        format!("{post} HTTP/1.1\r\nHost: a\r\nBad Header: 1\r\n\r\n").into_bytes(),
        format!("{post} HTTP/0.9\r\n\r\n").into_bytes(),
        many.into_bytes(),
    ];
    for request in requests {
        let start = String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned();
        let mut raw = Raw::connect(story.stack.api(0)).await;
        raw.send(&request).await;
        // Nothing more comes, so that a server which waits for the rest closes.
        raw.end().await;
        let answer = String::from_utf8_lossy(&raw.read_to_close().await).into_owned();
        let status = raw::status(&answer);
        let fine = status.is_none_or(|status| (400..500).contains(&status));
        assert!(fine, "{start:?}: {answer:?}");
        story.nothing_changed().await;
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_and_too_many_of_them() {
    let story = Story::begin(&[
        "--request-timeout-seconds",
        "1",
        "--idle-timeout-seconds",
        "2",
        "--max-connections",
        "20",
    ])
    .await;
    let base = story.stack.api(0);
    let closed_within = Duration::from_secs(10);

    // Headers that stop, headers that drip, a body that stops: the connection closes.
    for start in [
        "GET /health HT",
        "POST /checkout?user_id=ann HTTP/1.1\r\nHost: a\r\n",
        "GET /health HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
    ] {
        let started = Instant::now();
        let mut raw = Raw::connect(base).await;
        raw.send(start).await;
        let answer = String::from_utf8_lossy(&raw.read_to_close().await).into_owned();
        let status = raw::status(&answer);
        assert!(
            [None, Some(408), Some(413)].contains(&status),
            "{start:?}: {answer:?}"
        );
        assert!(started.elapsed() < closed_within, "{start:?}");
    }
    let started = Instant::now();
    let mut raw = Raw::connect(base).await;
    raw.send("GET /health HTTP/1.1\r\nX-Slow: ").await;
    while raw.send("x").await {
        assert!(started.elapsed() < closed_within, "dripping keeps it open");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // Twenty connections are open and silent: one more waits until they are closed as idle.
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(Raw::connect(base).await);
    }
    let late = story
        .raw("GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(raw::status(&late), Some(200), "{late:?}");
    for mut raw in silent {
        assert!(raw.read_to_close().await.is_empty());
    }
    eventually("the service serves again", || async {
        story.call(Method::GET, "/health").await.status == 200
    })
    .await;
    story.end().await;
}
