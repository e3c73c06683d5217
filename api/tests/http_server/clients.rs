//! Clients that are slow, silent, too many, or use another protocol.

use std::time::{Duration, Instant};

use super::fixture::{LARGE, LONG_WAIT, TIMEOUTS, TestServer, soon};
use super::http_client::Client;
use super::raw_tcp::{self as raw, Raw};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_LARGE: &str = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn an_unfinished_head_closes_its_connection() {
    let server = TestServer::start_default().await;
    // In the first request of a connection, and in a later one.
    for before in ["", GET] {
        let mut client = Raw::connect(&server.base).await;
        client.send(format!("{before}GET / HT")).await;
        let started = Instant::now();
        let answer = String::from_utf8(client.read_to_close().await).unwrap();
        assert_eq!(answer.matches("HTTP/1.1 200").count(), before.len().min(1));
        let took = started.elapsed();
        assert!(took >= TIMEOUTS.request && took < LONG_WAIT, "{took:?}");
    }
    let mut client = Raw::connect(&server.base).await;
    client.send("GET / HTTP/1.1\r\nX-Slow: ").await;
    let started = Instant::now();
    while client.send("x").await {
        assert!(
            started.elapsed() < LONG_WAIT,
            "a slow head keeps the connection open"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_silent_connection_is_closed_after_the_idle_limit() {
    let server = TestServer::start_default().await;
    for before in ["", GET] {
        let mut client = Raw::connect(&server.base).await;
        client.send(before).await;
        let started = Instant::now();
        let answer = String::from_utf8(client.read_to_close().await).unwrap();
        assert_eq!(answer.matches("HTTP/1.1 200").count(), before.len().min(1));
        let took = started.elapsed();
        assert!(took >= TIMEOUTS.idle && took < LONG_WAIT, "{took:?}");
    }
}

/// Thirty megabytes do not fit into the buffers between two programs.
#[tokio::test]
async fn a_client_that_never_reads_loses_its_connection_to_the_next_client() {
    let server = TestServer::start(1, LONG_WAIT).await;
    let mut greedy = Raw::connect(&server.base).await;
    greedy.send(GET_LARGE.repeat(30)).await;
    let started = Instant::now();
    let next = Client::default();
    let answer = soon(
        "its connection is closed",
        next.get(&format!("{}/", server.base)),
    )
    .await;
    assert_eq!(answer.status, 200);
    assert!(started.elapsed() >= TIMEOUTS.request);
    let got = greedy.read_to_close().await.len();
    assert!(got < 30 * LARGE, "{got}");
}

#[tokio::test]
async fn a_slow_reader_gets_everything() {
    let server = TestServer::start_default().await;
    let mut slow = Raw::connect(&server.base).await;
    slow.send(GET_LARGE.repeat(29)).await;
    slow.send("GET /large HTTP/1.1\r\nConnection: close\r\n\r\n")
        .await;
    let started = Instant::now();
    let mut got = 0;
    loop {
        let more = slow.read_at_most(LARGE / 2).await;
        if more == 0 {
            break;
        }
        got += more;
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert!(got > 30 * LARGE, "{got}");
    // Longer than the limit of a single wait.
    let took = started.elapsed();
    assert!(took > TIMEOUTS.request * 3 / 2, "{took:?}");
}

#[tokio::test]
async fn a_connection_above_the_limit_waits_until_another_closes() {
    let server = TestServer::start(2, LONG_WAIT).await;
    let mut open = [
        Raw::connect(&server.base).await,
        Raw::connect(&server.base).await,
    ];
    for client in &mut open {
        client.send(GET).await;
        assert!(client.read_at_most(LARGE).await > 0);
    }
    let mut late = Raw::connect(&server.base).await;
    late.send(GET).await;
    // The absence of a response cannot be awaited; this time is long enough to show it.
    let early = tokio::time::timeout(TIMEOUTS.request / 2, late.read_at_most(LARGE)).await;
    assert!(early.is_err(), "it was served beside the other two");
    drop(open);
    assert!(soon("the connection is accepted", late.read_at_most(LARGE)).await > 0);
}

#[tokio::test]
async fn http_2_is_not_supported() {
    let server = TestServer::start_default().await;
    let settings = b"\0\0\0\x04\0\0\0\0\0";
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), settings].concat();
    let started = Instant::now();
    let mut client = Raw::connect(&server.base).await;
    client.send(preface).await;
    let answer = client.read_to_close().await;
    assert!(answer.is_empty(), "{:?}", String::from_utf8_lossy(&answer));
    assert!(started.elapsed() < TIMEOUTS.request, "it is closed at once");
    let answer = raw::exchange(
        &server.base,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade, HTTP2-Settings\r\n\
         Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    );
    assert_eq!(raw::status(&answer.await), Some(200));
}
