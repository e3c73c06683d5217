//! One connection against servers that answer badly, late or not at all.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use flashsale_load::client::connection::{Client, NoAnswer, Target};
use tokio::net::TcpListener;

/// A server that reads one request, answers with these bytes, and hangs up.
async fn answering(bytes: &'static [u8]) -> Client {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target: Target = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    Client::new(Arc::new(target), Duration::from_secs(10))
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_no_answer() {
    let mut client = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    assert!(matches!(client.get("/").await, Err(NoAnswer::Body(_))));
    let mut client = answering(b"").await;
    assert!(matches!(client.get("/").await, Err(NoAnswer::Broken(_))));
    let mut client = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfull").await;
    for _ in 0..2 {
        let (status, body) = client.get("/").await.unwrap();
        assert_eq!((status, &body[..]), (200, &b"full"[..]));
    }
}

#[tokio::test]
async fn a_server_says_how_long_it_wants_to_be_left_alone() {
    let away = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n";
    let mut client = answering(away).await;
    let post = client.send(hyper::Method::POST, "/checkout".into(), None);
    let response = post.await.unwrap();
    assert_eq!(response.status, 503);
    assert_eq!(response.retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn silence_ends_by_the_time_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let timeout = Duration::from_millis(200);
    let mut client = Client::new(Arc::new(url.parse().unwrap()), timeout);
    let answer = tokio::time::timeout(Duration::from_secs(10), client.get("/")).await;
    assert!(
        matches!(answer, Ok(Err(NoAnswer::TimedOut(_)))),
        "{answer:?}"
    );
}
