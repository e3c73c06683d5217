//! Late, malformed and large bodies. No endpoint takes a body.

use std::time::{Duration, Instant};

use super::fixture::{LONG_WAIT, TIMEOUTS, TestServer};
use super::raw_tcp::{self as raw, Raw};

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";
const TEN_MB: usize = 10 * 1024 * 1024;

/// Expects a problem and `Connection: close`.
#[track_caller]
fn closing_problem(answer: &str, status: u16, code: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    assert_eq!(raw::status(head), Some(status), "{answer:?}");
    let head = head.to_lowercase();
    assert!(head.contains("application/problem+json"), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["code"], code, "{problem}");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_answered_with_408_also_after_100_continue() {
    let server = TestServer::start_default().await;
    for (begins, interim) in [
        ("\r\n", false),
        ("\r\n5\r\nhe", false),
        ("\r\n5\r\nhello\r\n", false),
        ("Expect: 100-continue\r\n\r\n", true),
        ("Expect: 100-continue\r\n\r\n1\r\n", true),
    ] {
        let started = Instant::now();
        let mut client = Raw::connect(&server.base).await;
        client.send(format!("{CHUNKED}{begins}")).await;
        let answer = String::from_utf8(client.read_to_close().await).unwrap();
        let took = started.elapsed();
        let rest = answer.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(rest.is_some(), interim, "{begins:?}: {answer:?}");
        closing_problem(rest.unwrap_or(&answer), 408, "request_timeout");
        assert!(took >= TIMEOUTS.request * 2 / 5, "{took:?}");
        assert!(took < TIMEOUTS.request + LONG_WAIT, "{took:?}");
    }
    assert_eq!(server.counted("other", 408), 5);
}

#[tokio::test]
async fn a_slow_body_gets_no_more_time() {
    let server = TestServer::start_default().await;
    let mut client = Raw::connect(&server.base).await;
    client.send(format!("{CHUNKED}\r\n")).await;
    let started = Instant::now();
    while client.send("1\r\nx\r\n").await {
        assert!(
            started.elapsed() < LONG_WAIT,
            "a slow body keeps the connection open"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.counted("other", 408), 1);
}

#[tokio::test]
async fn a_malformed_body_is_answered_with_400() {
    let server = TestServer::start_default().await;
    for malformed in ["not a chunk\r\n", "5\r\nhelloXX\r\n", "-1\r\n\r\n", "g\r\n"] {
        let answer = raw::exchange(&server.base, format!("{CHUNKED}\r\n{malformed}")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(raw::status(head), Some(400), "{malformed:?}: {answer:?}");
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["code"], "invalid_request", "{malformed:?}");
    }
}

/// A client that sends the whole body before it reads gets the problem as well: the server reads
/// and discards the body instead of resetting the connection.
#[tokio::test]
async fn ten_megabytes_get_a_problem() {
    let server = TestServer::start_default().await;
    let body = "x".repeat(TEN_MB);
    let chunked = format!("{TEN_MB:x}\r\n{body}\r\n0\r\n\r\n");
    for request in [
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {TEN_MB}\r\n\r\n{body}"),
        format!("{CHUNKED}\r\n{chunked}"),
    ] {
        let mut client = Raw::connect(&server.base).await;
        assert!(client.send(request).await, "the server takes all of it");
        let answer = String::from_utf8(client.read_to_close().await).unwrap();
        closing_problem(&answer, 413, "body_too_large");
    }
    assert_eq!(server.counted("other", 413), 2);
}

#[tokio::test]
async fn a_small_body_does_no_harm() {
    let server = TestServer::start_default().await;
    let close = "Connection: close\r\n";
    for request in [
        format!("POST / HTTP/1.1\r\nHost: a\r\n{close}Content-Length: 5\r\n\r\nhello"),
        format!("{CHUNKED}{close}\r\n5\r\nhello\r\n0\r\n\r\n"),
        format!("{CHUNKED}{close}Expect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        format!("{CHUNKED}{close}\r\n0\r\n\r\n"),
    ] {
        let answer = raw::exchange(&server.base, request).await;
        let answer = answer
            .strip_prefix("HTTP/1.1 100 Continue\r\n\r\n")
            .unwrap_or(&answer);
        assert_eq!(raw::status(answer), Some(200), "{answer:?}");
    }
}
