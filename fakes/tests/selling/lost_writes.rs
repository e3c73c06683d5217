//! A promoted replica misses the last writes: what Postgres has stays, and Redis is corrected to it
//! without a loss for other claims.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flashsale_engine::redis::commands::{MasterAnswer, Redis};
use flashsale_engine::{BackendError, Checkout, ItemId, NoOrder, Refusal, UserId};
use flashsale_fakes::FakeRedis;
use redis::{Cmd, Value, cmd};

use crate::harness::{Harness, Service, let_others_run, purchase_at_last, sold, until};
use crate::troubled_redis::{Trouble, Troubled};

/// Buys an item for a user as soon as it is for sale.
async fn buy_when_released(harness: &Harness, service: &Service, user: &str, idx: u32) -> Vec<u32> {
    let user_id = UserId::parse(user).unwrap();
    let item = ItemId::parse(&harness.catalog.get(idx).unwrap().id).unwrap();
    for _ in 0..100 {
        match service.checkout(&user_id, &item, &harness.request()).await {
            Ok(Checkout::Refused(Refusal::AlreadySold)) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            _ => break,
        }
    }
    let code = harness.fill(service, user, &[idx]).await;
    sold(&service.purchase(&code, &harness.request()).await.unwrap())
}

/// The number that a command on a key of the sale answers.
async fn number(harness: &Harness, name: &str, key: &str, argument: Option<u32>) -> Value {
    let key = format!("{{{}}}:{key}", harness.sale.id);
    let mut command = cmd(name);
    command.arg(&key).arg(argument);
    harness.redis.call("test", &key, &command).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_item_that_joins_a_cart_after_its_purchase_was_lost_is_for_sale_again() {
    let harness = Harness::new();
    let service = harness.open().await;
    let code = harness.fill(&service, "ann", &[1]).await;
    let before = harness.redis.snapshot();
    service.purchase(&code, &harness.request()).await.unwrap();

    harness.redis.return_to(&before);
    let reopened = harness.fill(&service, "ann", &[2]).await;
    assert_eq!(reopened, code, "the cart is open again");
    let again = service.purchase(&code, &harness.request()).await.unwrap();
    assert_eq!((sold(&again), again.replayed), (vec![1], true));

    assert_eq!(buy_when_released(&harness, &service, "bob", 2).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn a_promoted_master_that_lost_claims_gets_what_is_sold_from_postgres() {
    let harness = Harness::new();
    let service = harness.open().await;
    let code = harness.fill(&service, "ann", &[1, 2]).await;
    let before = harness.redis.snapshot();
    service.purchase(&code, &harness.request()).await.unwrap();

    harness.redis.return_to(&before);
    harness.redis.promote();
    tokio::time::sleep(Duration::from_secs(3)).await;
    for idx in [1, 2] {
        let bit = number(&harness, "GETBIT", "sold", Some(idx)).await;
        assert_eq!(bit, Value::Int(1), "item {idx} is sold");
        assert!(service.active().unwrap().is_sold(idx));
    }
    assert_eq!(service.active().unwrap().bought("ann"), 2);
}

#[tokio::test(start_paused = true)]
async fn the_first_claims_after_a_failover_follow_what_postgres_has_as_sold() {
    let harness = Harness::new();
    harness.open().await.stop(Duration::from_secs(1)).await;
    let fails = Arc::<AtomicBool>::default();
    let troubled = Troubled {
        redis: harness.redis.clone(),
        operation: "claim",
        trouble: Trouble::FailsWhile(fails.clone()),
    };
    // Without a failed claim this process would look for another master a second after its start.
    let service = harness.process(troubled, harness.postgres.clone()).await;
    until("the process sells", || service.active().is_some()).await;
    let code = harness.fill(&service, "ann", &[1, 2]).await;
    let bobs_code = harness.fill(&service, "bob", &[1, 3]).await;
    let before = harness.redis.snapshot();
    service.purchase(&code, &harness.request()).await.unwrap();

    fails.store(true, Ordering::Relaxed);
    let failed = service.purchase(&bobs_code, &harness.request()).await;
    assert!(matches!(failed, Err(NoOrder::Unavailable(_))), "{failed:?}");
    harness.redis.return_to(&before);
    harness.redis.promote();
    fails.store(false, Ordering::Relaxed);
    let order = purchase_at_last(&harness, &service, &bobs_code).await;
    assert_eq!(sold(&order), [3]);
    // Redis is corrected behind the answer.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let repairs = service.metrics().corrections.get();
    assert_eq!(repairs, 0, "Redis refused what Ann has bought");
}

#[tokio::test(start_paused = true)]
async fn a_correction_keeps_an_item_that_another_claim_holds_and_has_not_committed() {
    let harness = Harness::new();
    let service = harness.open().await;
    let bobs_postgres = harness.postgres.of_another_process();
    let redis = harness.redis.clone();
    let bobs_process = harness.process(redis, bobs_postgres.clone()).await;
    until("the other process sells", || {
        bobs_process.active().is_some()
    })
    .await;
    let code = harness.fill(&service, "ann", &[1, 5]).await;
    let bobs_code = harness.fill(&bobs_process, "bob", &[5]).await;
    let held = bobs_postgres.hold().await;
    let bobs_purchase = harness.begin_purchase(&bobs_process, &bobs_code);
    let_others_run().await;

    let before = harness.redis.snapshot();
    let first = service.purchase(&code, &harness.request()).await.unwrap();
    assert_eq!(sold(&first), [1], "bob has claimed item 5");
    harness.redis.return_to(&before);
    harness.fill(&service, "ann", &[2]).await;
    let again = service.purchase(&code, &harness.request()).await.unwrap();
    assert_eq!(sold(&again), [1]);
    let_others_run().await;

    let bit = number(&harness, "GETBIT", "sold", Some(5)).await;
    assert_eq!(bit, Value::Int(1), "item 5 stays bob's");
    let bit = number(&harness, "GETBIT", "sold", Some(2)).await;
    assert_eq!(bit, Value::Int(0), "item 2 is free");
    drop(held);
    let bobs = bobs_purchase.await.unwrap().unwrap();
    assert_eq!(sold(&bobs), [5]);
}

#[tokio::test(start_paused = true)]
async fn a_correction_frees_no_sale_slot_that_another_claim_holds_and_has_not_committed() {
    let harness = Harness::new();
    let service = harness.open().await;
    let redis = || harness.redis.clone();
    let (anns, doras) = (
        harness.postgres.of_another_process(),
        harness.postgres.of_another_process(),
    );
    let paused = harness.process(redis(), anns.clone()).await;
    let doras_process = harness.process(redis(), doras.clone()).await;
    until("the other processes sell", || {
        paused.active().is_some() && doras_process.active().is_some()
    })
    .await;
    let code = harness.fill(&service, "ann", &[1]).await;
    let doras_code = harness.fill(&doras_process, "dora", &[7]).await;
    let (ann_held, _dora_held) = (anns.hold().await, doras.hold().await);
    let before = harness.redis.snapshot();

    // Ann's claim takes sale slot 1 and is lost; dora's takes the same slot.
    let late = harness.begin_purchase(&paused, &code);
    let_others_run().await;
    harness.redis.return_to(&before);
    harness.begin_purchase(&doras_process, &doras_code);
    let_others_run().await;
    let with_doras = harness.redis.snapshot();
    // Ann buys more under the same code, at other slots, and this is lost in Redis too.
    harness.fill(&service, "ann", &[2]).await;
    let order = service.purchase(&code, &harness.request()).await.unwrap();
    assert_eq!(sold(&order), [1, 2]);
    harness.redis.return_to(&with_doras);

    drop(ann_held);
    let late = late.await.unwrap().unwrap();
    assert_eq!(sold(&late), [1, 2], "the outcome that Postgres has");
    let_others_run().await;
    let free = number(&harness, "LLEN", "free_slots", None).await;
    assert_eq!(free, Value::Int(0), "sale slot 1 stays dora's");
}

#[tokio::test(start_paused = true)]
async fn a_user_whose_id_looks_like_a_result_keeps_the_slots_of_other_claims() {
    let harness = Harness::new();
    let service = harness.open().await;
    let postgres = harness.postgres.of_another_process();
    let other = harness
        .process(harness.redis.clone(), postgres.clone())
        .await;
    until("the other process sells", || other.active().is_some()).await;
    let user = "ann:s:1:x";
    let uncommitted = harness.fill(&other, user, &[5]).await;
    let _held = postgres.hold().await;
    harness.begin_purchase(&other, &uncommitted);
    let_others_run().await;

    let code = harness.fill(&service, user, &[1]).await;
    let before = harness.redis.snapshot();
    service.purchase(&code, &harness.request()).await.unwrap();
    harness.redis.return_to(&before);
    harness.fill(&service, user, &[2]).await;
    service.purchase(&code, &harness.request()).await.unwrap();
    let_others_run().await;
    let key = format!("{{{}}}:bought", harness.sale.id);
    let mut command = cmd("HGET");
    command.arg(&key).arg(user);
    let slots = harness.redis.call("test", &key, &command).await.unwrap();
    assert_eq!(slots, Value::BulkString(b"11".to_vec()), "slot 1 is taken");
}

/// Makes both workers of the group commit wait for a Postgres that is held, so that what comes next
/// shares a group.
async fn occupy_workers<R: Redis>(harness: &Harness, service: &std::sync::Arc<Service<R>>) {
    for (user, idx) in [("xaver", 30), ("yvonne", 31)] {
        let code = harness.fill(service, user, &[idx]).await;
        harness.begin_purchase(service, &code);
        let_others_run().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_that_is_twice_in_a_group_has_the_one_outcome_that_is_stored() {
    let harness = Harness::new();
    let service = harness.open().await;
    let held = harness.postgres.hold().await;
    occupy_workers(&harness, &service).await;
    let code = harness.fill(&service, "ann", &[1]).await;
    let before = harness.redis.snapshot();
    harness.fill(&service, "ann", &[2]).await;
    let first = harness.begin_purchase(&service, &code);
    let_others_run().await;
    harness.redis.return_to(&before);
    let second = harness.begin_purchase(&service, &code);
    let_others_run().await;

    drop(held);
    let first = first.await.unwrap().unwrap();
    let second = second.await.unwrap().unwrap();
    let stored = service.outcome(&code).await.unwrap().unwrap();
    assert_eq!(sold(&first), [1, 2]);
    assert_eq!(first.items, stored.items);
    assert_eq!(second.items, stored.items, "the second caller's answer");
    assert!(!first.replayed && second.replayed);
    let metrics = &harness.ambient.metrics;
    assert_eq!(metrics.sale_items_sold_total.get(), 4, "each item once");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_conflicts_leaves_the_others_of_its_group_together() {
    let mut harness = Harness::new();
    harness.sale.limits.total = 40;
    let service = harness.open().await;
    let anns = harness.fill(&service, "ann", &[1]).await;
    let before = harness.redis.snapshot();
    service.purchase(&anns, &harness.request()).await.unwrap();
    harness.redis.return_to(&before);
    // A process that has not seen ann's purchase.
    let service = harness.service().await;
    until("it sells", || service.active().is_some()).await;
    let mut codes = vec![harness.fill(&service, "bob", &[1]).await];
    for n in 2..18 {
        codes.push(harness.fill(&service, &format!("user-{n}"), &[n]).await);
    }

    let held = harness.postgres.hold().await;
    occupy_workers(&harness, &service).await;
    let purchases: Vec<_> = codes
        .iter()
        .map(|code| harness.begin_purchase(&service, code))
        .collect();
    let_others_run().await;
    drop(held);
    for (n, purchase) in purchases.into_iter().enumerate() {
        let expected = if n == 0 { vec![] } else { vec![n as u32 + 1] };
        assert_eq!(sold(&purchase.await.unwrap().unwrap()), expected);
    }
    let alone = harness.postgres.count_writes("insert_order_by_item");
    let together = harness.postgres.count_writes("insert_orders");
    assert_eq!(
        alone, 0,
        "the claim that conflicts is committed with others"
    );
    assert!(together <= 6, "{together} statements for 20 claims");
}

/// A Redis that does not answer corrections.
#[derive(Debug, Clone)]
struct HungCorrections(FakeRedis);

impl Redis for HungCorrections {
    async fn call(
        &self,
        operation: &'static str,
        key: &str,
        command: &Cmd,
    ) -> Result<Value, BackendError> {
        if operation == "repair" {
            let after = Duration::from_millis(1_500);
            tokio::time::sleep(after).await;
            return Err(BackendError::TimedOut {
                backend: "Redis",
                operation,
                after,
            });
        }
        self.0.call(operation, key, command).await
    }

    async fn call_all_masters(&self, operation: &'static str, command: &Cmd) -> Vec<MasterAnswer> {
        self.0.call_all_masters(operation, command).await
    }

    async fn stream_reader(&self) -> Result<Self, BackendError> {
        Ok(self.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn answers_do_not_wait_for_the_corrections_of_their_group() {
    let harness = Harness::new();
    let service = harness.open().await;
    let postgres = harness.postgres.of_another_process();
    let redis = HungCorrections(harness.redis.clone());
    let slow = harness.process(redis, postgres.clone()).await;
    until("the other process sells", || slow.active().is_some()).await;
    let anns = harness.fill(&service, "ann", &[1]).await;
    let before = harness.redis.snapshot();
    service.purchase(&anns, &harness.request()).await.unwrap();
    harness.redis.return_to(&before);
    harness.fill(&service, "ann", &[2]).await;
    let bobs = harness.fill(&slow, "bob", &[9]).await;

    let held = postgres.hold().await;
    occupy_workers(&harness, &slow).await;
    let (anns, bobs) = (
        harness.begin_purchase(&slow, &anns),
        harness.begin_purchase(&slow, &bobs),
    );
    let_others_run().await;
    let released = tokio::time::Instant::now();
    drop(held);
    let (anns, bobs) = (anns.await.unwrap().unwrap(), bobs.await.unwrap().unwrap());
    assert_eq!((sold(&anns), sold(&bobs)), (vec![1], vec![9]));
    let waited = released.elapsed();
    assert!(waited < Duration::from_millis(100), "{waited:?}");
}
