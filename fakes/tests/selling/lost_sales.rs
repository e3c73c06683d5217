//! Sales that Redis lost, and the processes that restore them.

use std::time::Duration;

use flashsale_engine::{Admin, KeptUp};
use flashsale_fakes::FakePostgres;

use super::harness::Harness;
use super::troubled_redis::{Trouble, Troubled};

/// An operator whose restorations take a quarter of a minute.
fn slow_admin(harness: &Harness) -> Admin<Troubled, FakePostgres> {
    let redis = Troubled {
        redis: harness.redis.clone(),
        operation: "seed",
        trouble: Trouble::BeginsLate,
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
