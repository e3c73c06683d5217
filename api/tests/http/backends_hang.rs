//! Stores that hang: nothing waits for them longer than it said, and nobody else waits at all.

use std::time::{Duration, Instant};

use super::support::raw_tcp::Raw;
use super::support::suspended_postgres::Frozen;
use super::support::{Answer, Stack, eventually, limits};

/// What /health promises, and a little for a busy machine.
const HEALTH_LIMIT: Duration = Duration::from_millis(2_500);

/// What a request may take by the default flags, and as much.
const ANSWER_LIMIT: Duration = Duration::from_millis(8_500);

/// The answer to a call, and the time that it took.
async fn timed(call: impl Future<Output = Answer>) -> (Answer, Duration) {
    let started = Instant::now();
    let answer = call.await;
    (answer, started.elapsed())
}

async fn health_says(stack: &Stack, i: usize, redis: &str, postgres: &str) {
    let (health, took) = timed(stack.get(i, "/health")).await;
    assert_eq!(health.status, 503, "{health:?}");
    assert!(health.header("retry-after").is_some(), "{health:?}");
    assert!(took < HEALTH_LIMIT, "{took:?}");
    let body = health.json();
    assert_eq!(body["status"], "down", "{body}");
    for (store, expected) in [("redis", redis), ("postgres", postgres)] {
        let found = body[store]["status"].as_str().unwrap();
        assert!(expected.split('|').any(|state| state == found), "{body}");
    }
}

async fn internal_port_answers(stack: &Stack, i: usize) {
    for path in ["/livez", "/readyz", "/metrics"] {
        let url = format!("{}{path}", stack.internal(i));
        let (answer, took) = timed(stack.client().get(&url)).await;
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        assert!(took < Duration::from_secs(1), "{path}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_hangs() {
    let stack = Stack::start(50, limits(50), 1).await;
    let bought = stack.fill(0, "ann", &[0]).await;
    let first = stack.purchase(0, &bought).await;
    assert_eq!(first.status, 200, "{first:?}");
    let waiting = stack.fill(0, "bob", &[1, 2]).await;
    stack.awaits_attempts().await;

    // Connections that were used just now are trusted, and then waited for longest.
    let looks = (0..20).map(|_| stack.get(0, "/health"));
    for look in futures_util::future::join_all(looks).await {
        assert_eq!(look.status, 200, "{look:?}");
    }
    let frozen = Frozen::postgres(&stack.postgres);
    health_says(&stack, 0, "up|unknown", "down").await;
    // Carts do not need it.
    let (answer, took) = timed(stack.checkout(0, "cid", stack.item(3))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    // Purchases do, and say so in time; many of them at once, too.
    let calls = (0..30).map(|_| timed(stack.purchase(0, &waiting)));
    for (answer, took) in futures_util::future::join_all(calls).await {
        let problem = answer.problem(503, "unavailable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("with the same code"), "{detail}");
        assert!(took < ANSWER_LIMIT, "{took:?}");
    }
    for path in [
        format!("/purchase/{bought}"),
        "/sales/shop.hourly.20200101T0000Z".to_owned(),
    ] {
        let (answer, took) = timed(stack.get(0, &path)).await;
        answer.problem(503, "unavailable");
        assert!(took < ANSWER_LIMIT, "{path}: {took:?}");
    }
    health_says(&stack, 0, "up", "down").await;
    internal_port_answers(&stack, 0).await;

    drop(frozen);
    eventually("the code is bought", || async {
        stack.purchase(0, &waiting).await.status == 200
    })
    .await;
    let again = stack.purchase(0, &bought).await;
    assert_eq!((again.status, again.json()), (200, first.json()));
    eventually("health is well", || async {
        stack.get(0, "/health").await.status == 200
    })
    .await;
    let sold: i64 = stack.sql("SELECT count(*) FROM purchases").await;
    assert_eq!(sold, 3);
    stack.awaits_attempts().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_master_that_hangs() {
    let mut stack = Stack::start(50, limits(50), 1).await;
    let impatient = stack
        .start_api_with(&["--request-timeout-seconds", "1"])
        .await;
    let bought = stack.fill(0, "ann", &[0]).await;
    assert_eq!(stack.purchase(0, &bought).await.status, 200);
    let waiting = stack.fill(0, "bob", &[1, 2]).await;
    stack.awaits_attempts().await;

    stack.redis.pause(0);
    // Longer than this process lets a request take: answered by the deadline.
    for (call, says) in [
        (
            timed(stack.checkout(impatient, "cid", stack.item(3))).await,
            "no answer in time",
        ),
        (
            timed(stack.purchase(impatient, &waiting)).await,
            "in time: ask again with the same code",
        ),
    ] {
        let (answer, took) = call;
        let problem = answer.problem(503, "unavailable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail}");
        assert!(took < Duration::from_millis(1_300), "{took:?}");
    }

    let calls = (0..30).map(|n| timed(stack.checkout(0, ["cid", "dan"][n % 2], stack.item(3))));
    for (answer, took) in futures_util::future::join_all(calls).await {
        answer.problem(503, "unavailable");
        assert!(took < ANSWER_LIMIT, "{took:?}");
    }
    let (answer, took) = timed(stack.purchase(0, &waiting)).await;
    answer.problem(503, "unavailable");
    assert!(took < ANSWER_LIMIT, "{took:?}");
    // What Postgres knows is still answered.
    let (answer, took) = timed(stack.purchase(0, &bought)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(took < ANSWER_LIMIT, "{took:?}");
    health_says(&stack, 0, "down", "up").await;
    internal_port_answers(&stack, 0).await;

    // A client that does not wait has its line and is counted all the same.
    let mut leaves = Raw::connect(stack.api(0)).await;
    let request = format!(
        "POST /checkout?user_id=eve&id={} HTTP/1.1\r\nHost: a\r\nX-Request-Id: left\r\n\r\n",
        stack.item(4)
    );
    leaves.send(request).await;
    // Answered after it on another connection: it has been read.
    stack.get(0, "/sales/active").await;
    drop(leaves);
    eventually("the line of the client that left", || async {
        let log = stack.apis.log(0);
        let mut lines = log.lines().filter(|line| line.contains("\"left\""));
        lines.any(|line| line.contains("\"status\":499"))
    })
    .await;
    let series = "http_requests_total{endpoint=\"/checkout\",method=\"POST\",status=\"499\"}";
    assert_eq!(stack.metric(0, series).await, 1.0);

    stack.redis.resume(0);
    eventually("the code is bought", || async {
        stack.purchase(0, &waiting).await.status == 200
    })
    .await;
    eventually("carts are filled", || async {
        stack.checkout(impatient, "fay", stack.item(5)).await.status == 200
    })
    .await;
    let sold: i64 = stack.sql("SELECT count(*) FROM purchases").await;
    assert_eq!(sold, 3);
}
