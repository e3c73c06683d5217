//! Backends that hang: a request waits for them no longer than its limit, and requests that do not
//! need them do not wait.

use std::time::{Duration, Instant};

use flashsale_servers::SuspendedPostgres;

use super::support::raw_tcp::Raw;
use super::support::{Answer, Stack, eventually, limits};

/// The limit of /health, and a little for a busy machine.
const HEALTH_LIMIT: Duration = Duration::from_millis(2_500);

/// The limit of a response by the default flags, and a little for a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_millis(8_500);

/// The answer to a call, and its duration.
async fn timed(call: impl Future<Output = Answer>) -> (Answer, Duration) {
    let started = Instant::now();
    let answer = call.await;
    (answer, started.elapsed())
}

async fn health_has(stack: &Stack, i: usize, redis: &str, postgres: &str) {
    let (health, took) = timed(stack.get(i, "/health")).await;
    assert_eq!(health.status, 503, "{health:?}");
    assert!(health.header("retry-after").is_some(), "{health:?}");
    assert!(took < HEALTH_LIMIT, "{took:?}");
    let body = health.json();
    assert_eq!(body["status"], "down", "{body}");
    for (backend, expected) in [("redis", redis), ("postgres", postgres)] {
        let found = body[backend]["status"].as_str().unwrap();
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

/// A request has its log line and is counted also where the client does not wait. The code is one
/// whose purchase waits for Postgres: the first one after Postgres hangs does, for a second.
/// Where the machine stands still for so long, the client is answered before it leaves; other
/// clients follow until one has left in time.
async fn a_client_that_disconnects_is_counted(stack: &Stack, waiting: &str) {
    let mut clients = 0..;
    eventually("a client leaves before its answer", || {
        let request_id = format!("left-{}", clients.next().unwrap());
        async move { status_of_one_who_leaves(stack, waiting, &request_id).await == 499 }
    })
    .await;
    let series = "http_requests_total{endpoint=\"/purchase\",method=\"POST\",status=\"499\"}";
    assert_eq!(stack.metric(0, series).await, 1.0);
}

/// The status in the log line of a purchase whose client disconnects.
async fn status_of_one_who_leaves(stack: &Stack, code: &str, request_id: &str) -> u16 {
    let mut client = Raw::connect(stack.api(0)).await;
    let request = format!(
        "POST /purchase?code={code} HTTP/1.1\r\nHost: a\r\nX-Request-Id: {request_id}\r\n\r\n"
    );
    client.send(request).await;
    // The response to a later request on another connection shows that this one has been read.
    stack.get(0, "/sales/active").await;
    drop(client);
    let mut status = None;
    let quoted = format!("\"{request_id}\"");
    eventually("the line of the request is in the log", || {
        let log = stack.apis.log(0);
        let mut lines = log.lines().filter(|line| line.contains(&quoted));
        status = lines.find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            line["status"].as_u64()
        });
        std::future::ready(status.is_some())
    })
    .await;
    u16::try_from(status.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_hangs() {
    let stack = Stack::start(50, limits(50), 1).await;
    let bought = stack.fill(0, "ann", &[0]).await;
    let first = stack.purchase(0, &bought).await;
    assert_eq!(first.status, 200, "{first:?}");
    let waiting = stack.fill(0, "bob", &[1, 2]).await;
    let left = stack.fill(0, "dan", &[4]).await;
    stack.awaits_attempts().await;

    // The pool does not check connections that were used just now, which makes the wait longest.
    let checks = (0..20).map(|_| stack.get(0, "/health"));
    for health in futures_util::future::join_all(checks).await {
        assert_eq!(health.status, 200, "{health:?}");
    }
    let suspended = SuspendedPostgres::suspend(&stack.postgres).unwrap();
    a_client_that_disconnects_is_counted(&stack, &left).await;
    health_has(&stack, 0, "up|unknown", "down").await;
    // Carts do not need Postgres.
    let (answer, took) = timed(stack.checkout(0, "cid", stack.item(3))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    // Purchases need Postgres. Each gets its problem in time, also when many wait at once.
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
    health_has(&stack, 0, "up", "down").await;
    internal_port_answers(&stack, 0).await;

    drop(suspended);
    for code in [&waiting, &left] {
        eventually("the code is bought", || async {
            stack.purchase(0, code).await.status == 200
        })
        .await;
    }
    let again = stack.purchase(0, &bought).await;
    assert_eq!((again.status, again.json()), (200, first.json()));
    eventually("all dependencies are up", || async {
        stack.get(0, "/health").await.status == 200
    })
    .await;
    let sold: i64 = stack.sql("SELECT count(*) FROM purchases").await;
    assert_eq!(sold, 4);
    stack.awaits_attempts().await;
}

/// Redis hangs longer than process `i`, with a limit of one second, lets a request take.
async fn the_deadline_ends_requests(stack: &Stack, i: usize, waiting: &str) {
    // Both wait for the same call: later ones fail before their deadline.
    let (checkout, purchase) = tokio::join!(
        timed(stack.checkout(i, "cid", stack.item(3))),
        timed(stack.purchase(i, waiting)),
    );
    for ((answer, took), expected_detail) in [
        (checkout, "no response in time"),
        (
            purchase,
            "in time: send the request again with the same code",
        ),
    ] {
        let problem = answer.problem(503, "unavailable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(expected_detail), "{detail}");
        assert!(took < Duration::from_millis(1_300), "{took:?}");
    }
}

async fn only_postgres_is_read(stack: &Stack, waiting: &str, bought: &str) {
    let calls = (0..30).map(|n| timed(stack.checkout(0, ["cid", "dan"][n % 2], stack.item(3))));
    for (answer, took) in futures_util::future::join_all(calls).await {
        answer.problem(503, "unavailable");
        assert!(took < ANSWER_LIMIT, "{took:?}");
    }
    let (answer, took) = timed(stack.purchase(0, waiting)).await;
    answer.problem(503, "unavailable");
    assert!(took < ANSWER_LIMIT, "{took:?}");
    // Postgres has the outcome.
    let (answer, took) = timed(stack.purchase(0, bought)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(took < ANSWER_LIMIT, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_master_that_hangs() {
    let mut stack = Stack::start(50, limits(50), 1).await;
    let short_limit = stack
        .start_api_with(&["--request-timeout-seconds", "1"])
        .await;
    let bought = stack.fill(0, "ann", &[0]).await;
    assert_eq!(stack.purchase(0, &bought).await.status, 200);
    let waiting = stack.fill(0, "bob", &[1, 2]).await;
    stack.awaits_attempts().await;

    stack.redis.pause(0);
    the_deadline_ends_requests(&stack, short_limit, &waiting).await;
    only_postgres_is_read(&stack, &waiting, &bought).await;
    health_has(&stack, 0, "down", "up").await;
    internal_port_answers(&stack, 0).await;

    stack.redis.resume(0);
    eventually("the code is bought", || async {
        stack.purchase(0, &waiting).await.status == 200
    })
    .await;
    eventually("carts are filled", || async {
        let answer = stack.checkout(short_limit, "fay", stack.item(5)).await;
        answer.status == 200
    })
    .await;
    let sold: i64 = stack.sql("SELECT count(*) FROM purchases").await;
    assert_eq!(sold, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_redis_masters_that_hangs_degrades_health() {
    let mut stack = Stack::start_on(3, 0, 50, limits(50), 1).await;
    stack.redis.pause(0);
    eventually("health has the slots that are away", || async {
        let (health, took) = timed(stack.get(0, "/health")).await;
        assert_eq!(health.status, 200, "{health:?}");
        assert!(took < HEALTH_LIMIT, "{took:?}");
        let text = health.text();
        assert!(!text.contains("127.0.0.1"), "{text}");
        let body = health.json();
        let nodes = body["redis"]["nodes"].as_array().unwrap().iter();
        let mut away = nodes.filter(|node| node["status"] == "down");
        body["status"] == "degraded"
            && away.next().is_some_and(|node| {
                node["slots"] == "0-5460"
                    && node["id"].as_str().unwrap().len() == 40
                    && node["since"].as_str().unwrap().ends_with('Z')
            })
            && away.next().is_none()
    })
    .await;
    assert_eq!(stack.metric(0, "redis_node_away_total").await, 1.0);
    // Of the other slots nothing waits.
    let (health, took) = timed(stack.get(0, "/health")).await;
    assert_eq!(health.json()["redis"]["status"], "degraded", "{health:?}");
    assert!(took < Duration::from_millis(500), "{took:?}");

    stack.redis.resume(0);
    eventually("all masters are up", || async {
        stack.get(0, "/health").await.json()["status"] == "up"
    })
    .await;
}
