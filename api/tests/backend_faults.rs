//! Backends that fail in the middle of a sale, and processes that are killed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::{Stack, eventually, limits};

const ITEMS: u32 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_nothing_is_answered_as_bought_and_everything_claimed_is_settled_later() {
    let mut stack = Stack::start(ITEMS, limits(ITEMS), 2).await;
    let mut codes = Vec::new();
    for n in 0..20_u32 {
        codes.push(stack.fill(0, &format!("user-{n}"), &[n]).await);
    }
    stack.postgres.stop();

    // Half of the codes are sent, to both processes; no response is a success.
    for (n, code) in codes[..10].iter().enumerate() {
        let answer = stack.purchase(n % 2, code).await;
        let problem = answer.problem(503, "unavailable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("same code"), "{detail}");
    }
    // Checkouts still succeed.
    let answer = stack.checkout(0, "late", stack.item(50)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // A process is killed while only Redis has its claims.
    stack.kill_api(0);

    stack.postgres.start_again().unwrap();
    // All claims are committed without further requests.
    stack
        .awaits_count("SELECT count(*) FROM purchases", 10)
        .await;
    // A repeated purchase returns the items of its claim; a first purchase claims its items now.
    // A process may respond with 503 until its next commit succeeds.
    for code in &codes {
        let answer = stack.retry_purchase(1, code).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["total_purchased"], 1);
    }
    // The other process settles the attempts of the killed one.
    stack
        .awaits_count("SELECT count(*) FROM checkout_attempts", 21)
        .await;
    assert_eq!(stack.close_and_settle(&stack.sale.id).await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_flushall_the_sale_is_restored_from_postgres_and_sells_on() {
    let stack = Stack::start_on(3, 0, ITEMS, limits(ITEMS), 2).await;
    let bought = stack.fill(0, "ann", &[0, 1, 2]).await;
    let unbought = stack.fill(0, "bob", &[2, 3, 4]).await;
    let stale = stack.fill(1, "cid", &[2]).await;
    assert_eq!(stack.purchase(0, &bought).await.status, 200);
    // Carts are restored from the log of attempts, so the attempts must be settled.
    stack
        .awaits_count("SELECT count(*) FROM checkout_attempts", 7)
        .await;

    stack.redis.flush_all().unwrap();
    eventually("the sale sells again", || async {
        let answer = stack.checkout(0, "dan", stack.item(9)).await;
        answer.status == 200 || {
            answer.problem(503, "unavailable");
            false
        }
    })
    .await;
    // The other process sells as well. Until then its responses are 503, never a refusal.
    let answer = stack.retry_purchase(1, &unbought).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["total_purchased"], 2);
    assert_eq!(body["failed_items"][0]["id"], stack.item(2));
    assert_eq!(body["failed_items"][0]["reason"], "already_sold");

    // Outcomes are unchanged, and sold items stay sold.
    let again = stack.purchase(1, &bought).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.json()["total_purchased"], 3);
    // Each cart partition is restored by itself.
    let answer = stack.retry_purchase(0, &stale).await;
    answer.problem(409, "already_sold");
    assert_eq!(stack.close_and_settle(&stack.sale.id).await, 5);
}
