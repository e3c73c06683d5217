//! Endpoints that panic or never respond, and clients that disconnect.

use std::time::Instant;

use hyper::Method;

use super::fixture::{LONG_WAIT, TIMEOUTS, TestServer, eventually, log_lines};
use super::http_client::Client;
use super::raw_tcp::{self as raw, Raw};

#[tokio::test]
async fn a_panic_is_a_problem_and_a_log_line_with_its_message_and_location() {
    let server = TestServer::start_default().await;
    let client = Client::default();
    let url = format!("{}/checkout", server.base);
    let id = [("X-Request-Id", "the-one-that-panics")];
    let answer = client.call(Method::POST, &url, &id).await;
    let problem = answer.problem(500, "internal_error");
    assert_eq!(problem["request_id"], "the-one-that-panics");
    assert!(!answer.text().contains("no more of this"), "{answer:?}");

    let lines = log_lines("the-one-that-panics");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["level"], "ERROR");
    let panic = lines[0]["panic"].as_str().unwrap();
    assert!(panic.starts_with("no more of this at "), "{panic}");
    assert!(panic.contains("fixture.rs:"), "{panic}");

    assert_eq!(server.counted("/checkout", 500), 1);
    assert_eq!(server.metrics.checkout.attempts.get(), 1);
    let text = server.metrics.render().unwrap();
    let failure = "\ncheckout_failure_total{reason=\"internal\"} 1\n";
    assert!(text.contains(failure), "{text}");

    // The connection and the server go on.
    let after = client.get(&format!("{}/", server.base)).await;
    assert_eq!((after.status, after.text()), (200, "ok"));
}

#[tokio::test]
async fn a_pending_call_gets_503_in_time_and_its_connection_stays_open() {
    let server = TestServer::start_default().await;
    let client = Client::default();
    for (path, endpoint, expected_detail) in [
        ("/pending", "other", "send the request again"),
        ("/purchase", "/purchase", "with the same code"),
    ] {
        let started = Instant::now();
        let answer = client.post(&format!("{}{path}", server.base)).await;
        let took = started.elapsed();
        let problem = answer.problem(503, "unavailable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(expected_detail), "{detail}");
        assert!(!answer.closes(), "{answer:?}");
        assert!(took >= TIMEOUTS.request * 4 / 5, "{took:?}");
        assert!(took < TIMEOUTS.request + LONG_WAIT, "{took:?}");
        assert_eq!(server.counted(endpoint, 503), 1);
    }
    assert_eq!(server.pending.over(), 2, "the pending calls are dropped");
    let after = client.get(&format!("{}/", server.base)).await;
    assert_eq!(after.status, 200);
}

#[tokio::test]
async fn a_client_that_disconnects_is_counted_and_its_call_is_dropped() {
    let server = TestServer::start_default().await;
    let mut client = Raw::connect(&server.base).await;
    client
        .send("GET /pending HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    eventually("the request is in progress", || server.pending.begun() == 1).await;
    assert_eq!(server.counted("other", 499), 0);
    drop(client);
    eventually("it is counted", || server.counted("other", 499) == 1).await;
    assert_eq!(server.pending.over(), 1);
    // The disconnect ended the call, not the deadline.
    assert_eq!(server.counted("other", 503), 0);
}

#[tokio::test]
async fn responses_have_the_order_of_requests_also_where_the_first_is_late() {
    let server = TestServer::start_default().await;
    let both = "GET /pending HTTP/1.1\r\nHost: a\r\n\r\n\
                GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answers = raw::exchange(&server.base, both).await;
    let statuses: Vec<&str> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| &answer[..3])
        .collect();
    assert_eq!(statuses, ["503", "200"], "{answers}");
}
