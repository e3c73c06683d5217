//! Processes that start before their backends, and processes that cannot start.

use std::time::{Duration, Instant};

use hyper::Method;

use super::support::{Stack, eventually, limits};

/// The responses of a process that waits for the backend `down`.
async fn answers_meanwhile(stack: &Stack, i: usize, down: &str) {
    let internal = |path: &str| format!("{}{path}", stack.internal(i));
    let client = stack.client();
    let live = client.get(&internal("/livez")).await;
    assert_eq!(live.status, 200, "{live:?}");
    let ready = client.get(&internal("/readyz")).await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.text(), "backends not reached yet\n");
    let metrics = client.get(&internal("/metrics")).await;
    assert_eq!(metrics.status, 200, "{metrics:?}");
    assert!(metrics.text().contains("\ncheckout_attempts_total 0\n"));

    let sale = &stack.sale.id;
    let code = format!("CHK-{sale}-{}", "0".repeat(22));
    let item = stack.item(0);
    for (method, path) in [
        (Method::POST, format!("/checkout?user_id=ann&id={item}")),
        (Method::POST, "/checkout".to_owned()),
        (Method::GET, format!("/checkout/{code}")),
        (Method::POST, format!("/purchase?code={code}")),
        (Method::GET, format!("/purchase/{code}")),
        (Method::GET, "/sales/active".to_owned()),
        (Method::GET, format!("/sales/{sale}")),
        (Method::GET, format!("/sales/{sale}/items")),
    ] {
        let url = format!("{}{path}", stack.api(i));
        let started = Instant::now();
        let answer = client.call(method, &url, &[]).await;
        answer.problem(503, "unavailable");
        assert!(started.elapsed() < Duration::from_secs(1), "{path}");
    }
    // Some endpoints need no backend.
    for path in ["/docs", "/openapi.json"] {
        assert_eq!(stack.get(i, path).await.status, 200);
    }
    stack.get(i, "/nothing").await.problem(404, "not_found");
    let wrong = client.get(&format!("{}/purchase", stack.api(i))).await;
    wrong.problem(405, "method_not_allowed");

    eventually("health names the backend that is down", || async {
        let health = stack.get(i, "/health").await;
        assert_eq!(health.status, 503, "{health:?}");
        assert!(health.header("retry-after").is_some(), "{health:?}");
        let body = health.json();
        assert_eq!(body["status"], "down", "{body}");
        assert_eq!(body["not_ready"], "backends not reached yet", "{body}");
        body[down]["status"] == "down"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_starts_while_postgres_is_away_serves_once_it_is_back() {
    let mut stack = Stack::start(50, limits(50), 0).await;
    stack.postgres.stop();
    let i = stack.launch_api(&[]).await;
    answers_meanwhile(&stack, i, "postgres").await;
    // SIGTERM ends a process that waits for a backend, without a drain.
    let other = stack.launch_api(&["--drain-seconds", "60"]).await;
    let started = Instant::now();
    stack.terminate_api(other);
    assert_eq!(stack.apis.exit_code(other).await, Some(0));
    assert!(started.elapsed() < Duration::from_secs(20), "it drained");

    stack.postgres.start_again().unwrap();
    stack.awaits_ready(i).await;
    let code = stack.fill(i, "ann", &[0, 1]).await;
    assert_eq!(stack.purchase(i, &code).await.status, 200);
    assert_eq!(stack.get(i, "/health").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_starts_while_redis_is_away_serves_once_it_is_back() {
    let mut stack = Stack::start(50, limits(50), 0).await;
    stack.redis.kill(0);
    let i = stack.launch_api(&[]).await;
    answers_meanwhile(&stack, i, "redis").await;

    // Redis restarts empty: the sale is restored from Postgres.
    stack.redis.restart(0).unwrap();
    stack.awaits_ready(i).await;
    eventually("the sale sells", || async {
        stack.checkout(i, "ann", stack.item(0)).await.status == 200
    })
    .await;
    let code = stack.fill(i, "ann", &[1]).await;
    assert_eq!(stack.purchase(i, &code).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_configuration_ends_with_a_sentence() {
    let mut stack = Stack::start(5, limits(5), 0).await;
    for (flags, code, message) in [
        (
            ["--postgres-url", "mysql://here/there"],
            1,
            "the Postgres URL cannot be used: expected postgres://",
        ),
        (
            ["--redis-url", "here:there"],
            1,
            "the Redis URL cannot be used: expected redis://",
        ),
        (["--max-connections", "0"], 2, "0 is not in 1..=1000000"),
        (
            ["--request-timeout-seconds", "0"],
            2,
            "0 is not in 1..=3600",
        ),
        (
            ["--listen", "192.0.2.1:1"],
            1,
            "cannot listen at 192.0.2.1:1",
        ),
    ] {
        let (found, log) = stack.apis.run(&flags);
        assert_eq!(found, Some(code), "{flags:?}: {log}");
        assert!(log.contains(message), "{flags:?}: {log}");
    }
}
