//! The drain and the end of a server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::fixture::{LONG_WAIT, TIMEOUTS, TestServer, eventually, soon};
use super::raw_tcp::Raw;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// On one thread the server runs only while the test waits: these clients have connected, and the
/// server has not accepted them.
#[tokio::test(flavor = "current_thread")]
async fn connected_clients_are_served_at_the_end() {
    let mut server = TestServer::start_default().await;
    let authority = server.base.strip_prefix("http://").unwrap().to_owned();
    let mut clients: Vec<TcpStream> = (0..5)
        .map(|_| {
            let mut client = TcpStream::connect(&authority).unwrap();
            client.write_all(GET.as_bytes()).unwrap();
            client
        })
        .collect();
    server.end();
    let took = server.ended().await;
    assert!(took < TIMEOUTS.request * 2, "{took:?}");
    for client in &mut clients {
        let mut answer = String::new();
        client.set_read_timeout(Some(LONG_WAIT)).unwrap();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer:?}");
    }
    let refused = TcpStream::connect(&authority);
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn a_response_in_progress_is_finished_and_idle_connections_are_closed_at_once() {
    let mut server = TestServer::start_default().await;
    let mut idle = Raw::connect(&server.base).await;
    idle.send(GET).await;
    assert!(idle.read_at_most(1024 * 1024).await > 0);
    let mut waiting = Raw::connect(&server.base).await;
    waiting
        .send("GET /pending HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    eventually("the request is in progress", || server.pending.begun() == 1).await;

    server.end();
    let nothing = soon("the idle one closes", idle.read_to_close()).await;
    assert!(nothing.is_empty());
    drop(idle);
    let answer = String::from_utf8(waiting.read_to_close().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer:?}");
    drop(waiting);
    server.ended().await;
}

#[tokio::test]
async fn a_response_that_does_not_finish_is_aborted() {
    let mut server = TestServer::start(10, Duration::from_millis(100)).await;
    let mut waiting = Raw::connect(&server.base).await;
    waiting
        .send("GET /pending HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    eventually("the request is in progress", || server.pending.begun() == 1).await;
    let (metrics, pending) = (server.metrics.clone(), server.pending.clone());
    server.end();
    server.ended().await;
    assert!(waiting.read_to_close().await.is_empty());
    assert_eq!(pending.over(), 1);
    let counted = metrics.render().unwrap();
    assert!(counted.contains("status=\"499\""), "{counted}");
}
