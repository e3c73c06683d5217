//! Clients that are slow, silent, too many, or speak something else.

use std::time::{Duration, Instant};

use super::fixture::{Host, LARGE, PATIENCE, SURELY, soon};
use super::http_client::Client;
use super::raw_tcp::{self as raw, Raw};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_LARGE: &str = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn a_head_that_does_not_come_to_its_end_closes_its_connection() {
    let host = Host::usual().await;
    // In the first request of a connection, and in a later one.
    for before in ["", GET] {
        let mut client = Raw::connect(&host.base).await;
        client.send(format!("{before}GET / HT")).await;
        let started = Instant::now();
        let answer = String::from_utf8(client.read_to_close().await).unwrap();
        assert_eq!(answer.matches("HTTP/1.1 200").count(), before.len().min(1));
        let took = started.elapsed();
        assert!(took >= PATIENCE.request && took < SURELY, "{took:?}");
    }
    let mut client = Raw::connect(&host.base).await;
    client.send("GET / HTTP/1.1\r\nX-Slow: ").await;
    let started = Instant::now();
    while client.send("x").await {
        assert!(started.elapsed() < SURELY, "dripping keeps it open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_silent_connection_is_closed_when_nobody_waits_for_it_any_more() {
    let host = Host::usual().await;
    for before in ["", GET] {
        let mut client = Raw::connect(&host.base).await;
        client.send(before).await;
        let started = Instant::now();
        let answer = String::from_utf8(client.read_to_close().await).unwrap();
        assert_eq!(answer.matches("HTTP/1.1 200").count(), before.len().min(1));
        let took = started.elapsed();
        assert!(took >= PATIENCE.idle && took < SURELY, "{took:?}");
    }
}

/// Thirty megabytes do not fit into the buffers between two programs.
#[tokio::test]
async fn a_client_that_never_reads_loses_its_place_to_the_next_one() {
    let host = Host::start(1, SURELY).await;
    let mut greedy = Raw::connect(&host.base).await;
    greedy.send(GET_LARGE.repeat(30)).await;
    let started = Instant::now();
    let next = Client::default();
    let answer = soon("its place is free", next.get(&format!("{}/", host.base))).await;
    assert_eq!(answer.status, 200);
    assert!(started.elapsed() >= PATIENCE.request);
    let got = greedy.read_to_close().await.len();
    assert!(got < 30 * LARGE, "{got}");
}

#[tokio::test]
async fn a_slow_reader_gets_everything() {
    let host = Host::usual().await;
    let mut slow = Raw::connect(&host.base).await;
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
    // Longer than any single wait may take.
    let took = started.elapsed();
    assert!(took > PATIENCE.request * 3 / 2, "{took:?}");
}

#[tokio::test]
async fn one_more_connection_than_there_may_be_waits_until_another_closes() {
    let host = Host::start(2, SURELY).await;
    let mut open = [
        Raw::connect(&host.base).await,
        Raw::connect(&host.base).await,
    ];
    for client in &mut open {
        client.send(GET).await;
        assert!(client.read_at_most(LARGE).await > 0);
    }
    let mut late = Raw::connect(&host.base).await;
    late.send(GET).await;
    // Nothing can be awaited that does not come; this is long enough to see that it does not.
    let early = tokio::time::timeout(PATIENCE.request / 2, late.read_at_most(LARGE)).await;
    assert!(early.is_err(), "it was served beside the other two");
    drop(open);
    assert!(soon("its turn comes", late.read_at_most(LARGE)).await > 0);
}

#[tokio::test]
async fn http_2_is_not_spoken() {
    let host = Host::usual().await;
    let settings = b"\0\0\0\x04\0\0\0\0\0";
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), settings].concat();
    let started = Instant::now();
    let mut client = Raw::connect(&host.base).await;
    client.send(preface).await;
    let answer = client.read_to_close().await;
    assert!(answer.is_empty(), "{:?}", String::from_utf8_lossy(&answer));
    assert!(started.elapsed() < PATIENCE.request, "it is closed at once");
    let answer = raw::exchange(
        &host.base,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade, HTTP2-Settings\r\n\
         Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    );
    assert_eq!(raw::status(&answer.await), Some(200));
}
