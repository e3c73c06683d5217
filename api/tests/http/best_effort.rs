//! `attempts: bestEffort`: a sale that drops attempts instead of refusing checkouts.

use jiff::SignedDuration;

use super::support::{Stack, eventually, limits};

const BEST_EFFORT_SALE: &str = "shop.rough";

#[tokio::test(flavor = "multi_thread")]
async fn attempts_beyond_the_backlog_are_dropped_and_counted_while_postgres_is_away() {
    let mut stack = Stack::start(5, limits(5), 0).await;
    let ago = SignedDuration::from_mins(-1);
    let seeded = stack.seed_as(BEST_EFFORT_SALE, ago, 50, |sale| sale.best_effort = true);
    let (_, catalog) = seeded.await;
    let api = stack
        .start_api_with(&["--flash-sale", BEST_EFFORT_SALE, "--attempts-backlog", "5"])
        .await;
    let item = |idx: u32| catalog.get(idx).unwrap().id.as_str();
    let first = stack.checkout(api, "ann", item(0)).await;
    assert_eq!(first.status, 200, "{first:?}");
    stack.awaits_attempts().await;
    assert_eq!(stack.metric(api, "attempts_dropped_total").await, 0.0);

    // Four times as many attempts as the backlog takes: carts and refusals.
    stack.postgres.stop();
    for idx in 0..16 {
        let answer = stack.checkout(api, &format!("user-{idx}"), item(idx)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    for n in 0..4 {
        let answer = stack.checkout(api, &format!("no|user|{n}"), item(0)).await;
        answer.problem(400, "invalid_user_id");
    }
    let dropped = stack.metric(api, "attempts_dropped_total").await;
    assert_eq!(dropped, 15.0);
    assert_eq!(stack.metric(api, "attempts_unsettled").await, 5.0);

    // The attempts of the backlog are stored exactly once, and no cart is lost.
    stack.postgres.start_again().unwrap();
    let kept = stack.client().answered_checkouts() - 15;
    let attempts = "SELECT count(*) FROM checkout_attempts";
    stack.awaits_count(attempts, kept).await;
    eventually("the backlog is empty", || async {
        stack.metric(api, "attempts_unsettled").await == 0.0
    })
    .await;
    let again = stack.checkout(api, "user-15", item(15)).await;
    assert_eq!(again.status, 200, "{again:?}");
    let code = again.json()["code"].as_str().unwrap().to_owned();
    eventually("a cart without a stored attempt is bought", || async {
        stack.purchase(api, &code).await.status == 200
    })
    .await;
    stack.awaits_count(attempts, kept + 1).await;
}
