//! The life of a sale, as `kubectl get` shows it.

use flashsale_operator::crd::Phase;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::support::{World, condition, is_true, soon};

/// What the Deployment controller would write once so many pods are ready.
async fn pods_are_ready(world: &World, ready: i32) {
    let deployment = world.get::<Deployment>("deal-api").await.unwrap();
    let status = json!({"status": {
        "observedGeneration": deployment.metadata.generation,
        "replicas": ready,
        "readyReplicas": ready,
        "availableReplicas": ready,
    }});
    let (params, status) = (PatchParams::default(), Patch::Merge(status));
    let api = world.api::<Deployment>();
    api.patch_status("deal-api", &params, &status)
        .await
        .unwrap();
}

fn replicas(deployment: &Deployment) -> Option<i32> {
    deployment.spec.as_ref().unwrap().replicas
}

/// Far from the sale: few pods, nothing in Redis.
async fn check_scheduled(world: &World) {
    let status = world.await_status("it is scheduled", "deal", |status| {
        status.phase == Phase::Scheduled
    });
    let status = status.await;
    assert!(is_true(&status, "Ready"), "{status:?}");
    assert!(!is_true(&status, "Seeded"));
    assert!(!status.next_sale.unwrap().seeded);
    assert_eq!(status.observed_generation, Some(1));
    let deployment = world.await_that("it is made", "deal-api", |_: &Deployment| true);
    assert_eq!(replicas(&deployment.await), Some(1));
    assert!(!world.redis_holds("deal"));
}

/// The warm-up: the sale is seeded, and the pods are scaled up.
async fn check_warm_up(world: &World) {
    let status = world.await_status("it is seeded", "deal", |status| is_true(status, "Seeded"));
    assert_eq!(status.await.phase, Phase::WarmingUp);
    assert!(world.redis_holds("deal"));
    let scaled = world.await_that("it is scaled up", "deal-api", |found| {
        replicas(found) == Some(3)
    });
    scaled.await;
    let status = world.await_status("pods are counted", "deal", |status| {
        condition(status, "ApiAvailable").is_some_and(|found| found.message.contains("of 3"))
    });
    assert!(!is_true(&status.await, "ApiAvailable"));
    pods_are_ready(world, 3).await;
    let status = world.await_status("its pods are ready", "deal", |status| {
        is_true(status, "ApiAvailable")
    });
    let status = status.await;
    assert_eq!(status.replicas, Some(3));
    assert_eq!(
        status.selector.as_deref(),
        Some("app.kubernetes.io/instance=deal-api,app.kubernetes.io/name=flashsale-api")
    );
}

/// The sale, its end, and what is left of it.
async fn check_sale_and_end(world: &World) {
    let status = world.await_status("it sells", "deal", |status| status.phase == Phase::Selling);
    let sale = status.await.active_sale.unwrap();
    assert_eq!(sale.sold_of_total, "0/50");
    let status = world.await_status("it is over", "deal", |status| {
        status.phase == Phase::Finished
    });
    let status = status.await;
    assert_eq!(status.history.len(), 1);
    assert_eq!(status.history[0].id, sale.id);
    assert_eq!(status.history[0].sold, 0);
    let idle = world.await_that("it is scaled down", "deal-api", |found| {
        replicas(found) == Some(1)
    });
    idle.await;
    let [record] = &world.records("deal").await[..] else {
        panic!("one sale was held")
    };
    assert!(record.retired_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_is_seeded_scaled_for_opened_closed_and_kept_in_the_history() {
    let world = World::new("life").await;
    let _operator = world.operator("one");
    world
        .flash_sale(
            "deal",
            json!({
                "startAt": soon(18),
                "duration": "8s",
                "api": {"replicas": {"idle": 1, "sale": 3}, "warmUp": "8s", "coolDown": "3s"},
            }),
        )
        .await;

    check_scheduled(&world).await;
    check_warm_up(&world).await;
    check_sale_and_end(&world).await;
    for reason in [
        "Scheduled",
        "Seeded",
        "Opened",
        "Ended",
        "Settled",
        "Finished",
    ] {
        let note = world.await_event("deal", reason).await;
        assert!(!note.is_empty(), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_opens_with_too_few_pods_has_an_event() {
    let world = World::new("few-pods").await;
    let _operator = world.operator("one");
    let more = json!({"startAt": soon(2), "duration": "1h"});
    world.flash_sale("deal", more).await;
    let note = world.await_event("deal", "NotEnoughPods").await;
    assert!(
        note.ends_with("has opened, and 0 of 6 API pods are ready"),
        "{note}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_killed_after_the_warm_up_changes_nothing_about_the_sale() {
    let world = World::new("killed").await;
    let mut operator = world.operator("one");
    let more = json!({"startAt": soon(4), "duration": "1h"});
    world.flash_sale("deal", more).await;
    world
        .await_status("it is seeded", "deal", |status| is_true(status, "Seeded"))
        .await;
    operator.kill();
    // The next one finds it open: Redis and the API processes go by their clocks.
    let record = || async { world.records("deal").await.pop().unwrap() };
    let before = record().await;
    let wait = before
        .sale
        .window
        .starts_at
        .duration_since(jiff::Timestamp::now());
    tokio::time::sleep(std::time::Duration::try_from(wait).unwrap_or_default()).await;
    let _next = world.operator("two");
    let status = world.await_status("it sells", "deal", |status| status.phase == Phase::Selling);
    assert_eq!(
        status.await.active_sale.unwrap().id,
        before.sale.id.to_string()
    );
    assert_eq!(record().await.seeded_at, before.seeded_at);
}
