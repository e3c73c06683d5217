//! Sales that Redis lost, and the processes that restore them.

use std::time::Duration;

use flashsale_engine::redis::commands::Redis as _;
use flashsale_engine::{Admin, KeptUp};
use flashsale_fakes::FakePostgres;

use super::harness::Harness;
use super::troubled_redis::{Trouble, Troubled};

/// An operator whose restorations take a quarter of a minute.
fn slow_admin(harness: &Harness) -> Admin<Troubled, FakePostgres> {
    slow_in(harness, "seed", Trouble::BeginsLate)
}

/// An operator with trouble in the calls of one script.
fn slow_in(
    harness: &Harness,
    operation: &'static str,
    trouble: Trouble,
) -> Admin<Troubled, FakePostgres> {
    let redis = Troubled {
        redis: harness.redis.clone(),
        operation,
        trouble,
    };
    Admin::new(redis, harness.postgres.clone(), &harness.ambient)
}

#[tokio::test(start_paused = true)]
async fn one_process_restores_a_sale_and_the_others_leave_it_alone() {
    let harness = Harness::new();
    let (admin, slow) = (harness.admin(), slow_admin(&harness));
    admin.seed(&harness.sale, &harness.catalog).await.unwrap();
    harness.redis.flush_all();

    let id = harness.sale.id.clone();
    let restoration = tokio::spawn(async move { slow.keep_up(&id).await });
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let found = admin.keep_up(&harness.sale.id).await.unwrap();
        assert_eq!(found, KeptUp::default());
    }
    assert!(restoration.await.unwrap().unwrap().restored);
    let found = admin.keep_up(&harness.sale.id).await.unwrap();
    assert!(!found.restored, "the sale is whole");
}

#[tokio::test(start_paused = true)]
async fn a_sale_whose_restoration_broke_off_is_restored_by_another_process() {
    let harness = Harness::new();
    let (admin, slow) = (harness.admin(), slow_admin(&harness));
    admin.seed(&harness.sale, &harness.catalog).await.unwrap();
    harness.redis.flush_all();

    let id = harness.sale.id.clone();
    let restoration = tokio::spawn(async move { slow.keep_up(&id).await });
    tokio::time::sleep(Duration::from_secs(8)).await;
    restoration.abort();
    let found = admin.keep_up(&harness.sale.id).await.unwrap();
    assert_eq!(found, KeptUp::default(), "the lease is still held");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(admin.keep_up(&harness.sale.id).await.unwrap().restored);
}

/// How far the restorations below are when the sale ends or is withdrawn: before the sale is ready
/// again, and between two of its cart partitions.
const BEGUN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// The restoration of a sale that has just been lost, begun a while ago.
async fn begun_restoration(harness: &Harness, ago: Duration) -> tokio::task::JoinHandle<()> {
    let (admin, slow) = (harness.admin(), slow_admin(harness));
    admin.seed(&harness.sale, &harness.catalog).await.unwrap();
    harness.redis.flush_all();
    let id = harness.sale.id.clone();
    let restoration = tokio::spawn(async move {
        slow.keep_up(&id).await.unwrap();
    });
    tokio::time::sleep(ago).await;
    assert!(!restoration.is_finished());
    restoration
}

#[tokio::test(start_paused = true)]
async fn a_sale_that_is_ended_while_it_is_restored_is_closed_in_redis() {
    for ago in BEGUN {
        let harness = Harness::new();
        let restoration = begun_restoration(&harness, ago).await;
        harness.admin().end_early(&harness.sale.id).await.unwrap();
        restoration.await.unwrap();
        assert!(is_closed_in_redis(&harness).await, "{ago:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sale_that_is_restored_while_it_is_ended_is_closed_in_redis() {
    let harness = Harness::new();
    let admin = harness.admin();
    admin.seed(&harness.sale, &harness.catalog).await.unwrap();
    harness.redis.flush_all();
    let id = harness.sale.id.clone();
    let ending = slow_in(&harness, "close", Trouble::AnswersLate);
    let ending = tokio::spawn(async move { ending.end_early(&id).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let found = admin.keep_up(&harness.sale.id).await.unwrap();
    assert!(found.restored && !ending.is_finished());
    ending.await.unwrap().unwrap();
    assert!(is_closed_in_redis(&harness).await);
}

#[tokio::test(start_paused = true)]
async fn a_sale_that_was_ended_and_is_open_in_an_old_file_is_closed_again() {
    let harness = Harness::new();
    harness.open().await;
    let old = harness.redis.snapshot();
    let admin = harness.admin();
    admin.end_early(&harness.sale.id).await.unwrap();
    harness.redis.return_to(&old);
    assert!(!is_closed_in_redis(&harness).await);
    admin.settle(&harness.sale.id).await.unwrap();
    assert!(is_closed_in_redis(&harness).await);
}

async fn is_closed_in_redis(harness: &Harness) -> bool {
    let meta = format!("{{{}}}:meta", harness.sale.id);
    let mut command = redis::cmd("HGET");
    command.arg(&meta).arg("closed");
    let closed = harness.redis.call("test", &meta, &command).await.unwrap();
    closed != redis::Value::Nil
}

#[tokio::test(start_paused = true)]
async fn a_sale_that_is_withdrawn_while_it_is_restored_leaves_nothing_in_redis() {
    for ago in BEGUN {
        let harness = Harness::new();
        let restoration = begun_restoration(&harness, ago).await;
        assert!(harness.admin().withdraw(&harness.sale.id).await.unwrap());
        restoration.await.unwrap();
        let left = harness.keys_with(&format!("{{{}", harness.sale.id)).await;
        assert!(left.is_empty(), "{ago:?}: {left:?}");
        let service = harness.service().await;
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert!(service.active().is_none(), "a withdrawn sale has opened");
    }
}
