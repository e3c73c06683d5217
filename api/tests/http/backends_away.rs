//! Responses while a backend is down, and afterwards.

use std::time::Instant;

use futures_util::future::join_all;

use super::support::{Stack, eventually, limits};

/// Without Postgres a purchase has no result; carts and the active sale are in Redis and memory.
async fn only_redis_and_memory_are_read(stack: &Stack, waiting: &str) {
    stack.purchase(0, waiting).await.problem(503, "unavailable");
    let outcome = stack.get(0, &format!("/purchase/{waiting}")).await;
    outcome.problem(503, "unavailable");
    let cart = stack.get(0, &format!("/checkout/{waiting}")).await;
    assert_eq!(cart.status, 200, "{cart:?}");
    let sale = stack.get(0, &format!("/sales/{}", stack.sale.id)).await;
    assert_eq!(sale.status, 200, "{sale:?}");
    // Only Postgres has past sales.
    let past = "shop.hourly.20200101T0000Z";
    stack
        .get(0, &format!("/sales/{past}"))
        .await
        .problem(503, "unavailable");
    let items = stack.get(0, &format!("/sales/{past}/items")).await;
    items.problem(503, "unavailable");
}

async fn health_has_postgres_down(stack: &Stack) {
    let health = stack.get(0, "/health").await;
    assert_eq!(health.status, 503, "{health:?}");
    let body = health.json();
    assert_eq!(body["status"], "down", "{body}");
    assert_eq!(body["postgres"]["status"], "down", "{body}");
    assert_eq!(body["redis"]["status"], "up", "{body}");
    let since = body["postgres"]["since"].as_str();
    assert!(since.is_some_and(|time| time.starts_with("20")), "{body}");
    let url = format!("{}/metrics", stack.internal(0));
    let metrics = stack.client().get(&url).await;
    let metrics = metrics.text();
    assert!(metrics.contains("\npostgres_up 0\n"), "{metrics}");
}

/// Process `small` may keep two attempts.
async fn checkouts_succeed_until_the_backlog_is_full(stack: &Stack, small: usize) {
    assert_eq!(stack.checkout(0, "cid", stack.item(3)).await.status, 200);
    for idx in [4, 5] {
        let answer = stack.checkout(small, "dan", stack.item(idx)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    for (user, item) in [("dan", stack.item(6)), ("", stack.item(6)), ("dan", "none")] {
        let answer = stack.checkout(small, user, item).await;
        answer.problem(503, "unavailable");
    }
}

/// The claim of `waiting` survives the outage.
async fn all_is_settled_after_the_restart(stack: &Stack, small: usize, waiting: &str) {
    eventually("the claim is settled without a request", || async {
        stack.get(0, &format!("/purchase/{waiting}")).await.status == 200
    })
    .await;
    let answer = stack.retry_purchase(0, waiting).await;
    assert_eq!(
        (answer.status, &answer.json()["total_purchased"]),
        (200, &2.into())
    );
    eventually("the small process takes checkouts again", || async {
        stack.checkout(small, "dan", stack.item(6)).await.status == 200
    })
    .await;
    let sold: i64 = stack.sql("SELECT count(*) FROM purchases").await;
    assert_eq!(sold, 3);
    stack.awaits_attempts().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_nothing_is_answered_as_bought_and_a_code_keeps_its_claim() {
    let mut stack = Stack::start(50, limits(50), 1).await;
    let small = stack.start_api_with(&["--attempts-backlog", "2"]).await;
    let bought = stack.fill(0, "ann", &[0]).await;
    assert_eq!(stack.purchase(0, &bought).await.status, 200);
    let waiting = stack.fill(0, "bob", &[1, 2]).await;
    stack.awaits_attempts().await;
    let healthy = stack.get(0, "/health").await;
    assert_eq!(healthy.status, 200, "{healthy:?}");
    assert_eq!(healthy.json()["status"], "up");

    stack.postgres.stop();
    only_redis_and_memory_are_read(&stack, &waiting).await;
    health_has_postgres_down(&stack).await;
    checkouts_succeed_until_the_backlog_is_full(&stack, small).await;
    stack.postgres.start_again().unwrap();
    all_is_settled_after_the_restart(&stack, small, &waiting).await;
}

/// Each refused request has its access line. The warning that names the reason is logged some times a
/// second, and a further line says how many warnings were left out.
async fn refused_requests_do_not_fill_the_log(stack: &Stack) {
    const REFUSED: usize = 400;
    let lines_with = |text: &str| {
        let log = stack.apis.log(0);
        log.lines().filter(|line| line.contains(text)).count()
    };
    let left_out = || lines_with("more lines of the same kind are left out");
    let (before, left_out_before) = (lines_with("\"checkout unavailable\""), left_out());
    let started = Instant::now();
    for answer in join_all((0..REFUSED).map(|_| stack.checkout(0, "eve", stack.item(3)))).await {
        answer.problem(503, "unavailable");
    }
    let seconds = started.elapsed().as_secs() as usize + 1;
    // Lines wait in the buffer of the process for a moment.
    eventually("each request has its line", || async {
        lines_with("\"route\":\"/checkout\"") >= REFUSED
    })
    .await;
    eventually("a line says how many are left out", || async {
        left_out() > left_out_before
    })
    .await;
    let logged = lines_with("\"checkout unavailable\"") - before;
    assert!(logged <= 20 * (seconds + 1), "{logged} in {seconds} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_only_outcomes_are_answered() {
    let mut stack = Stack::start(50, limits(50), 1).await;
    let bought = stack.fill(0, "ann", &[0]).await;
    let first = stack.purchase(0, &bought).await;
    let waiting = stack.fill(0, "bob", &[1, 2]).await;
    stack.awaits_attempts().await;

    stack.redis.kill(0);
    for (user, item) in [("cid", stack.item(3)), ("", stack.item(3)), ("cid", "none")] {
        let answer = stack.checkout(0, user, item).await;
        answer.problem(503, "unavailable");
    }
    stack
        .purchase(0, &waiting)
        .await
        .problem(503, "unavailable");
    let cart = stack.get(0, &format!("/checkout/{waiting}")).await;
    cart.problem(503, "unavailable");
    refused_requests_do_not_fill_the_log(&stack).await;
    let again = stack.purchase(0, &bought).await;
    assert_eq!((again.status, again.json()), (200, first.json()));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let outcome = stack.get(0, &format!("/purchase/{bought}")).await;
    assert_eq!((outcome.status, outcome.json()), (200, first.json()));

    let health = stack.get(0, "/health").await;
    assert_eq!(health.status, 503, "{health:?}");
    let body = health.json();
    assert_eq!(body["redis"]["status"], "down", "{body}");
    assert_eq!(body["postgres"]["status"], "up", "{body}");
    let text = health.text();
    assert!(
        !text.contains("127.0.0.1"),
        "addresses are not for clients: {text}"
    );

    // Redis restarts empty. The sale is restored, with the cart that was not bought.
    stack.redis.restart(0).unwrap();
    eventually("the cart is bought", || async {
        stack.purchase(0, &waiting).await.status == 200
    })
    .await;
    let twice = stack.checkout(0, "cid", stack.item(0)).await;
    twice.problem(409, "already_sold");
    let sold: i64 = stack.sql("SELECT count(*) FROM purchases").await;
    assert_eq!(sold, 3);
}
