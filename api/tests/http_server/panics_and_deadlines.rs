//! Endpoints that panic or hang, and clients that do not wait for them.

use std::time::Instant;

use hyper::Method;

use super::fixture::{Host, PATIENCE, SURELY, eventually, log_lines};
use super::http_client::Client;
use super::raw_tcp::{self as raw, Raw};

#[tokio::test]
async fn a_panic_is_a_problem_and_a_line_that_says_what_and_where() {
    let host = Host::usual().await;
    let client = Client::default();
    let url = format!("{}/checkout", host.base);
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

    assert_eq!(host.counted("/checkout", 500), 1);
    assert_eq!(host.metrics.checkout.attempts.get(), 1);
    let text = host.metrics.render().unwrap();
    let failure = "\ncheckout_failure_total{reason=\"internal\"} 1\n";
    assert!(text.contains(failure), "{text}");

    // The connection and the server go on.
    let after = client.get(&format!("{}/", host.base)).await;
    assert_eq!((after.status, after.text()), (200, "well"));
}

#[tokio::test]
async fn what_hangs_is_answered_in_time_and_its_connection_serves_on() {
    let host = Host::usual().await;
    let client = Client::default();
    for (path, endpoint, says) in [
        ("/hang", "other", "ask again"),
        ("/purchase", "/purchase", "with the same code"),
    ] {
        let started = Instant::now();
        let answer = client.post(&format!("{}{path}", host.base)).await;
        let took = started.elapsed();
        let problem = answer.problem(503, "unavailable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail}");
        assert!(!answer.closes(), "{answer:?}");
        assert!(took >= PATIENCE.request * 4 / 5, "{took:?}");
        assert!(took < PATIENCE.request + SURELY, "{took:?}");
        assert_eq!(host.counted(endpoint, 503), 1);
    }
    assert_eq!(host.hanging.over(), 2, "what hung is given up");
    let after = client.get(&format!("{}/", host.base)).await;
    assert_eq!(after.status, 200);
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_and_what_it_asked_for_is_given_up() {
    let host = Host::usual().await;
    let mut client = Raw::connect(&host.base).await;
    client.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("the request is on its way", || host.hanging.begun() == 1).await;
    assert_eq!(host.counted("other", 499), 0);
    drop(client);
    eventually("it is counted", || host.counted("other", 499) == 1).await;
    assert_eq!(host.hanging.over(), 1);
    // By its leaving, not by the deadline.
    assert_eq!(host.counted("other", 503), 0);
}

#[tokio::test]
async fn answers_come_in_the_order_of_requests_though_the_first_is_late() {
    let host = Host::usual().await;
    let both = "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n\
                GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answers = raw::exchange(&host.base, both).await;
    let statuses: Vec<&str> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| &answer[..3])
        .collect();
    assert_eq!(statuses, ["503", "200"], "{answers}");
}
