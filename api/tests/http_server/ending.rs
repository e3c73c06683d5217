//! The end of a server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::fixture::{Host, PATIENCE, SURELY, eventually, soon};
use super::raw_tcp::Raw;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// On one thread, where the server does not run before the test lets it: these clients have
/// connected, and nobody has accepted them.
#[tokio::test(flavor = "current_thread")]
async fn whoever_has_connected_is_served_at_the_end() {
    let mut host = Host::usual().await;
    let authority = host.base.strip_prefix("http://").unwrap().to_owned();
    let mut clients: Vec<TcpStream> = (0..5)
        .map(|_| {
            let mut client = TcpStream::connect(&authority).unwrap();
            client.write_all(GET.as_bytes()).unwrap();
            client
        })
        .collect();
    host.end();
    let took = host.ended().await;
    assert!(took < PATIENCE.request * 2, "{took:?}");
    for client in &mut clients {
        let mut answer = String::new();
        client.set_read_timeout(Some(SURELY)).unwrap();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer:?}");
    }
    let refused = TcpStream::connect(&authority);
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn an_answer_on_its_way_is_finished_and_idle_connections_are_closed_at_once() {
    let mut host = Host::usual().await;
    let mut idle = Raw::connect(&host.base).await;
    idle.send(GET).await;
    assert!(idle.read_at_most(1024 * 1024).await > 0);
    let mut waiting = Raw::connect(&host.base).await;
    waiting.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("it is on its way", || host.hanging.begun() == 1).await;

    host.end();
    let nothing = soon("the idle one closes", idle.read_to_close()).await;
    assert!(nothing.is_empty());
    drop(idle);
    let answer = String::from_utf8(waiting.read_to_close().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer:?}");
    drop(waiting);
    host.ended().await;
}

#[tokio::test]
async fn what_does_not_finish_is_cut() {
    let mut host = Host::start(10, Duration::from_millis(100)).await;
    let mut waiting = Raw::connect(&host.base).await;
    waiting.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("it is on its way", || host.hanging.begun() == 1).await;
    let (metrics, hanging) = (host.metrics.clone(), host.hanging.clone());
    host.end();
    host.ended().await;
    assert!(waiting.read_to_close().await.is_empty());
    assert_eq!(hanging.over(), 1);
    let counted = metrics.render().unwrap();
    assert!(counted.contains("status=\"499\""), "{counted}");
}
