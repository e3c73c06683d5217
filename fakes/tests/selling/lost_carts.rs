//! A promoted replica misses the last writes of cart partitions: until the carts are whole again
//! nothing is answered about them, and then they hold every item that was answered as added.

use std::sync::Arc;
use std::time::Duration;

use flashsale_engine::{BackendError, Checkout, CheckoutCode, CodeSuffix, NoOrder, Refusal};
use flashsale_fakes::FakePostgres;

use crate::harness::{
    Harness, SETTLED_AFTER, Service, checkout, checkout_at_last, let_others_run, purchase_at_last,
    sold, until,
};
use crate::troubled_redis::{Trouble, Troubled};

/// Another master takes over, without what was written since the snapshot.
fn promote(harness: &Harness, snapshot: &flashsale_fakes::RedisSnapshot) {
    harness.redis.return_to(snapshot);
    harness.redis.promote();
}

async fn assert_unavailable(harness: &Harness, service: &Service, code: &CheckoutCode) {
    match service.purchase(code, &harness.request()).await {
        Err(NoOrder::Unavailable(error)) => assert_eq!(*error, BackendError::Promoted),
        other => panic!("{other:?}"),
    }
    match service.cart(code).await {
        Err(NoOrder::Unavailable(error)) => assert_eq!(*error, BackendError::Promoted),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_that_was_lost_comes_back_and_stays_the_code_of_its_user() {
    let harness = Harness::new();
    let service = harness.open().await;
    let before = harness.redis.snapshot();
    let code = harness.fill(&service, "ann", &[1]).await;
    tokio::time::sleep(SETTLED_AFTER).await;

    promote(&harness, &before);
    assert_unavailable(&harness, &service, &code).await;
    let refused = checkout(&harness, &service, "ann", 2).await.unwrap_err();
    assert_eq!(*refused, BackendError::Promoted);
    let started = tokio::time::Instant::now();
    assert_eq!(checkout_at_last(&harness, &service, "ann", 2).await, code);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    let order = purchase_at_last(&harness, &service, &code).await;
    assert_eq!(sold(&order), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_cart_whose_last_item_was_lost_is_whole_before_it_is_frozen() {
    let harness = Harness::new();
    let service = harness.open().await;
    let code = harness.fill(&service, "ann", &[3]).await;
    let before = harness.redis.snapshot();
    harness.fill(&service, "ann", &[1]).await;

    promote(&harness, &before);
    assert_unavailable(&harness, &service, &code).await;
    let order = purchase_at_last(&harness, &service, &code).await;
    assert_eq!(
        sold(&order),
        [3, 1],
        "in the order in which they were added"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failover_that_loses_nothing_leaves_carts_as_they_are() {
    let harness = Harness::new();
    let service = harness.open().await;
    let code = harness.fill(&service, "ann", &[1]).await;
    harness.redis.promote();
    assert_eq!(checkout_at_last(&harness, &service, "ann", 2).await, code);
    let order = purchase_at_last(&harness, &service, &code).await;
    assert_eq!(sold(&order), [1, 2]);
}

/// Another process that sells, and its handle to Postgres.
async fn another_process(harness: &Harness) -> (FakePostgres, Arc<Service>) {
    let postgres = harness.postgres.of_another_process();
    let other = harness
        .process(harness.redis.clone(), postgres.clone())
        .await;
    until("the other process sells", || other.active().is_some()).await;
    (postgres, other)
}

#[tokio::test(start_paused = true)]
async fn attempts_that_another_process_has_not_settled_are_waited_for() {
    let harness = Harness::new();
    let service = harness.open().await;
    let (postgres, other) = another_process(&harness).await;
    tokio::time::sleep(SETTLED_AFTER).await;

    let before = harness.redis.snapshot();
    // The other process is alive, and its attempts take long.
    let held = postgres.hold_attempts().await;
    let code = harness.fill(&other, "ann", &[1]).await;
    promote(&harness, &before);
    for _ in 0..20 {
        assert_unavailable(&harness, &service, &code).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    drop(held);
    let order = purchase_at_last(&harness, &service, &code).await;
    assert_eq!(sold(&order), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_process_is_waited_for_no_longer_than_it_may_be_silent() {
    let harness = Harness::new();
    let service = harness.open().await;
    let (postgres, _other) = another_process(&harness).await;
    let code = harness.fill(&service, "ann", &[1]).await;
    tokio::time::sleep(SETTLED_AFTER).await;

    let _dead = postgres.hold().await;
    harness.redis.promote();
    let started = tokio::time::Instant::now();
    let order = purchase_at_last(&harness, &service, &code).await;
    assert_eq!(sold(&order), [1]);
    let waited = started.elapsed().as_secs();
    assert!((14..20).contains(&waited), "{waited} seconds");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_died_long_ago_is_not_waited_for_after_a_pause_of_postgres() {
    let harness = Harness::new();
    let service = harness.open().await;
    let (postgres, _other) = another_process(&harness).await;
    let code = harness.fill(&service, "ann", &[1]).await;
    let _dead = postgres.hold().await;
    tokio::time::sleep(Duration::from_secs(25)).await;

    let away = harness.postgres.hold().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    drop(away);
    harness.redis.promote();
    let started = tokio::time::Instant::now();
    let order = purchase_at_last(&harness, &service, &code).await;
    assert_eq!(sold(&order), [1]);
    let waited = started.elapsed();
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stopped_is_not_waited_for() {
    let harness = Harness::new();
    let service = harness.open().await;
    let other = harness
        .process(harness.redis.clone(), harness.postgres.clone())
        .await;
    until("the other process sells", || other.active().is_some()).await;
    let code = harness.fill(&other, "ann", &[1]).await;
    let before = harness.redis.snapshot();
    harness.fill(&other, "ann", &[2]).await;
    assert!(other.stop(Duration::from_secs(10)).await);

    promote(&harness, &before);
    let started = tokio::time::Instant::now();
    let order = purchase_at_last(&harness, &service, &code).await;
    assert_eq!(sold(&order), [1, 2]);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_cart_that_was_bought_and_is_open_again_takes_no_further_item() {
    let harness = Harness::new();
    let service = harness.open().await;
    let code = harness.fill(&service, "ann", &[1]).await;
    let before = harness.redis.snapshot();
    service.purchase(&code, &harness.request()).await.unwrap();

    promote(&harness, &before);
    let next = checkout_at_last(&harness, &service, "ann", 2).await;
    assert_ne!(next, code);
    let again = purchase_at_last(&harness, &service, &code).await;
    assert_eq!((sold(&again), again.replayed), (vec![1], true));
    let order = purchase_at_last(&harness, &service, &next).await;
    assert_eq!(sold(&order), [2]);
}

/// A process that sells, with trouble.
async fn troubled(
    harness: &Harness,
    operation: &'static str,
    trouble: Trouble,
) -> Arc<Service<Troubled>> {
    let redis = Troubled {
        redis: harness.redis.clone(),
        operation,
        trouble,
    };
    let process = harness.process(redis, harness.postgres.clone()).await;
    until("the process sells", || process.active().is_some()).await;
    process
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_on_its_way_is_waited_for() {
    let harness = Arc::new(Harness::new());
    let service = harness.open().await;
    let slow = troubled(&harness, "add", Trouble::AnswersLate).await;
    tokio::time::sleep(SETTLED_AFTER).await;
    let before = harness.redis.snapshot();
    let added = tokio::spawn({
        let (harness, slow) = (harness.clone(), slow.clone());
        async move { harness.fill(&slow, "ann", &[1]).await }
    });
    let_others_run().await;
    promote(&harness, &before);
    // Until the slow process has its answer, gives it and settles it, ann's carts are not whole.
    let code = checkout_at_last(&harness, &service, "ann", 2).await;
    assert_eq!(added.await.unwrap(), code);
    let order = purchase_at_last(&harness, &service, &code).await;
    assert_eq!(sold(&order), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn an_item_whose_first_reply_was_lost_stays_in_its_cart() {
    let harness = Harness::new();
    let service = harness.open().await;
    let repeating = troubled(&harness, "add", Trouble::RepliesLost).await;
    let before = harness.redis.snapshot();
    let code = harness.fill(&repeating, "ann", &[1]).await;
    // The stream entry whose reply was lost is settled, too.
    tokio::time::sleep(10 * SETTLED_AFTER).await;

    promote(&harness, &before);
    let order = purchase_at_last(&harness, &service, &code).await;
    assert_eq!(sold(&order), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_purchase_that_is_on_its_way_is_waited_for() {
    let harness = Harness::new();
    let service = harness.open().await;
    let slow = troubled(&harness, "claim", Trouble::BeginsLate).await;
    let code = harness.fill(&service, "ann", &[1]).await;
    tokio::time::sleep(SETTLED_AFTER).await;
    let before = harness.redis.snapshot();
    let purchase = harness.begin_purchase(&slow, &code);
    let_others_run().await;
    // The new master holds the cart as open, and it is being bought.
    promote(&harness, &before);
    let next = checkout_at_last(&harness, &service, "ann", 2).await;
    assert_ne!(next, code);
    assert_eq!(sold(&purchase.await.unwrap().unwrap()), [1]);
    let order = purchase_at_last(&harness, &service, &next).await;
    assert_eq!(sold(&order), [2]);
}

/// Freezes the cart of a code and claims nothing.
async fn freeze(harness: &Harness, code: &CheckoutCode) {
    let process = troubled(harness, "claim", Trouble::Fails).await;
    let unavailable = process.purchase(code, &harness.request()).await;
    assert!(matches!(unavailable, Err(NoOrder::Unavailable(_))));
    assert!(process.stop(Duration::from_secs(10)).await);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_cart_stays_as_it_is() {
    let harness = Harness::new();
    let service = harness.open().await;
    let code = harness.fill(&service, "ann", &[1]).await;
    freeze(&harness, &code).await;
    harness.redis.promote();
    let next = checkout_at_last(&harness, &service, "ann", 2).await;
    assert_ne!(next, code);
    let order = purchase_at_last(&harness, &service, &code).await;
    assert_eq!(sold(&order), [1]);
}

#[tokio::test(start_paused = true)]
async fn the_latest_code_of_a_user_is_open_and_the_one_before_it_is_frozen() {
    let harness = Harness::new();
    let service = harness.open().await;
    let first = harness.fill(&service, "ann", &[1]).await;
    let before = harness.redis.snapshot();
    freeze(&harness, &first).await;
    let second = harness.fill(&service, "ann", &[2]).await;
    tokio::time::sleep(SETTLED_AFTER).await;

    promote(&harness, &before);
    assert_eq!(checkout_at_last(&harness, &service, "ann", 3).await, second);
    let order = purchase_at_last(&harness, &service, &first).await;
    assert_eq!(sold(&order), [1]);
    // The user may buy two items in all.
    let order = purchase_at_last(&harness, &service, &second).await;
    assert_eq!(sold(&order), [2]);
    assert_eq!(order.items.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_sale_that_redis_lost_gets_its_carts_back() {
    let harness = Harness::new();
    let service = harness.open().await;
    let bought = harness.fill(&service, "ann", &[1]).await;
    service.purchase(&bought, &harness.request()).await.unwrap();
    let code = harness.fill(&service, "bob", &[2]).await;
    tokio::time::sleep(SETTLED_AFTER).await;

    harness.redis.flush_all();
    let order = purchase_at_last(&harness, &service, &code).await;
    assert_eq!(sold(&order), [2]);
    let again = purchase_at_last(&harness, &service, &bought).await;
    assert_eq!((sold(&again), again.replayed), (vec![1], true));
    let shown = service.cart(&bought).await.unwrap();
    assert_eq!((shown.user.as_str(), shown.items.len()), ("ann", 1));
    let refused = checkout(&harness, &service, "cid", 1).await.unwrap();
    assert_eq!(refused, Checkout::Refused(Refusal::AlreadySold));
}

#[tokio::test(start_paused = true)]
async fn codes_that_nobody_has_take_no_more_than_their_part_of_postgres() {
    let harness = Harness::new();
    let service = harness.open().await;
    let unknown = |n: u32| CheckoutCode {
        sale: harness.sale.id.clone(),
        suffix: CodeSuffix::parse(&format!("00{n:020}")).unwrap(),
    };
    let buy = async |n| service.purchase(&unknown(n), &harness.request()).await;
    assert!(matches!(buy(0).await, Err(NoOrder::UnknownCode)));

    let held = harness.postgres.hold().await;
    // Known to be unknown, without Postgres.
    assert!(matches!(buy(0).await, Err(NoOrder::UnknownCode)));
    let asked: Vec<_> = (1..=100)
        .map(|n| harness.begin_purchase(&service, &unknown(n)))
        .collect();
    let_others_run().await;
    let refused: Vec<_> = asked.iter().filter(|asked| asked.is_finished()).collect();
    assert_eq!(refused.len(), 36, "64 wait");
    drop(held);
    let mut answers = [0, 0];
    for asked in asked {
        match asked.await.unwrap() {
            Err(NoOrder::UnknownCode) => answers[0] += 1,
            Err(NoOrder::Unavailable(error)) => {
                assert!(matches!(*error, BackendError::Full { .. }), "{error:?}");
                answers[1] += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(answers, [64, 36]);
}
