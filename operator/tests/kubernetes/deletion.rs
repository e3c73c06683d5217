//! FlashSales that are deleted.

use flashsale_operator::crd::{FlashSale, Phase};
use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use serde_json::json;

use super::support::{World, soon};

async fn delete(world: &World, name: &str) {
    let params = DeleteParams::default();
    world
        .api::<FlashSale>()
        .delete(name, &params)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flash_sale_that_is_deleted_in_the_middle_of_a_sale_stops_selling_then_cleans_up() {
    let world = World::new("deleted").await;
    let _operator = world.operator("one");
    world.open_sale("deal").await;
    assert!(world.redis_holds("deal"));
    delete(&world, "deal").await;
    world.await_gone::<FlashSale>("deal").await;
    assert!(!world.redis_holds("deal"), "nothing is left in Redis");

    // By default what was sold stays on record.
    let [record] = &world.records("deal").await[..] else {
        panic!("it is not in Postgres any more")
    };
    let moments = [record.closed_at, record.settled_at, record.retired_at];
    assert!(moments.iter().all(Option::is_some), "{record:?}");
    assert!(record.closed_at.unwrap() < record.sale.window.ends_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_policy_to_delete_its_rows_go_too_and_those_of_others_stay() {
    let world = World::new("rows").await;
    let _operator = world.operator("one");
    for (name, policy) in [("gone", "Delete"), ("kept", "Retain")] {
        let more = json!({"startAt": soon(2), "duration": "1h", "deletionPolicy": policy});
        world.flash_sale(name, more).await;
    }
    for name in ["gone", "kept"] {
        world
            .await_status("it sells", name, |status| status.phase == Phase::Selling)
            .await;
    }
    delete(&world, "gone").await;
    world.await_gone::<FlashSale>("gone").await;
    assert_eq!(world.records("gone").await.len(), 0);
    assert_eq!(world.records("kept").await.len(), 1);
    assert!(world.redis_holds("kept") && !world.redis_holds("gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_secret_it_is_deleted_with_an_event_about_its_rows() {
    let world = World::new("hopeless").await;
    let mut operator = world.operator("one");
    let more = json!({"schedule": "30 3 1 1 *"});
    world.flash_sale("deal", more).await;
    world
        .await_status("it is scheduled", "deal", |status| {
            status.phase == Phase::Scheduled
        })
        .await;
    // The next one has never read the Secret.
    operator.kill();
    let _next = world.operator("two");
    let params = DeleteParams::default();
    let secrets = world.api::<Secret>();
    secrets.delete("stores", &params).await.unwrap();
    delete(&world, "deal").await;
    world.await_gone::<FlashSale>("deal").await;
    let note = world.await_event("deal", "NotCleanedUp").await;
    assert!(note.contains("no Secret stores"), "{note}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_together_with_its_secret_it_still_stops_and_cleans_up() {
    let world = World::new("together").await;
    let _operator = world.operator("one");
    world.open_sale("deal").await;
    let params = DeleteParams::default();
    let secrets = world.api::<Secret>();
    secrets.delete("stores", &params).await.unwrap();
    delete(&world, "deal").await;
    world.await_gone::<FlashSale>("deal").await;
    assert!(!world.redis_holds("deal"), "nothing is left in Redis");
    let record = world.records("deal").await.pop().unwrap();
    assert!(record.settled_at.is_some(), "{record:?}");
}
