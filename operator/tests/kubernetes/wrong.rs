//! FlashSales that are refused, and their references.

use flashsale_operator::crd::{FlashSale, Phase};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::support::{World, condition, is_true, soon, start_kubernetes};

const YEARLY: &str = "30 3 1 1 *";

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing_is_named_and_noticed_when_it_comes() {
    let world = World::without_secret("no-secret").await;
    let _operator = world.operator("one");
    world.flash_sale("deal", json!({"schedule": YEARLY})).await;
    let status = world.await_status("it is refused", "deal", |status| {
        condition(status, "Ready").is_some_and(|ready| ready.reason == "WrongReference")
    });
    let status = status.await;
    let message = &condition(&status, "Ready").unwrap().message;
    assert!(
        message.starts_with("spec.redis.secretKeyRef: found no Secret stores; expected"),
        "{message}"
    );
    assert_eq!(status.phase, Phase::Pending);
    let note = world.await_event("deal", "NotReady").await;
    assert_eq!(&note, message);

    world.put_secret(&world.redis, &world.postgres).await;
    let status = world.await_status("it is reconciled", "deal", |status| {
        is_true(status, "Ready")
    });
    assert_eq!(status.await.phase, Phase::Scheduled);
    world.await_event("deal", "Ready").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_wrong_secret_holds_is_shown_nowhere() {
    let world = World::without_secret("hunter").await;
    let operator = world.operator("one");
    world
        .put_secret("redis//:hunter2", "postgres://u:hunter2@127.0.0.1:1/x")
        .await;
    world.flash_sale("deal", json!({"schedule": YEARLY})).await;
    world
        .await_status("it is refused", "deal", |status| {
            condition(status, "Ready").is_some_and(|ready| ready.reason == "WrongReference")
        })
        .await;
    // Of the right shape, but nothing listens there, or the password is wrong.
    world
        .put_secret(&world.redis, "postgres://u:hunter2@127.0.0.1:1/x")
        .await;
    world
        .await_status("it cannot connect", "deal", |status| {
            condition(status, "DatabaseReady").is_some_and(|ready| ready.status == "False")
        })
        .await;
    let all = world.get::<FlashSale>("deal").await;
    let all = format!("{all:?}") + &operator.log() + &world.await_event("deal", "NotReady").await;
    assert!(!all.contains("hunter2"), "{all}");

    world.put_secret(&world.redis, &world.postgres).await;
    let is_well = |status: &_| is_true(status, "Ready") && is_true(status, "DatabaseReady");
    world.await_status("all is well", "deal", is_well).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_of_a_config_map_is_read_again_when_it_changes() {
    let world = World::new("listed").await;
    let _operator = world.operator("one");
    let config_map = |csv: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "goods"}, "data": {"items.csv": csv},
        })
    };
    let header = "id,name,image_url\n";
    let map = config_map(&format!("{header}a,An item\n"));
    world.apply::<ConfigMap>("goods", map).await;
    let catalog = json!({"configMapRef": {"name": "goods", "key": "items.csv"}});
    world
        .flash_sale("deal", json!({"schedule": YEARLY, "catalog": catalog}))
        .await;
    let status = world.await_status("it is refused", "deal", |status| {
        condition(status, "Ready").is_some_and(|ready| ready.reason == "WrongReference")
    });
    let status = status.await;
    let message = &condition(&status, "Ready").unwrap().message;
    assert!(
        message.contains("ConfigMap goods, key items.csv"),
        "{message}"
    );
    assert!(message.contains("line 2"), "{message}");

    let map = config_map(&format!("{header}a,An item,https://x.example/a.webp\n"));
    world.apply::<ConfigMap>("goods", map).await;
    world
        .await_status("it is reconciled", "deal", |status| {
            is_true(status, "Ready")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_only_code_can_judge_is_a_condition_and_an_event() {
    let world = World::new("judged").await;
    let _operator = world.operator("one");
    world
        .flash_sale("deal", json!({"schedule": "61 * * * *"}))
        .await;
    let status = world.await_status("it is invalid", "deal", |status| {
        status.phase == Phase::Invalid
    });
    let status = status.await;
    let ready = condition(&status, "Ready").unwrap();
    assert_eq!(ready.reason, "Invalid");
    assert!(
        ready.message.starts_with("spec.schedule: found"),
        "{ready:?}"
    );
    assert_eq!(world.await_event("deal", "NotReady").await, ready.message);

    world.flash_sale("deal", json!({"schedule": YEARLY})).await;
    let status = world.await_status("it is right", "deal", |status| {
        status.phase == Phase::Scheduled
    });
    assert_eq!(status.await.observed_generation, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_malformed_keeps_no_other_waiting() {
    let kubernetes = tokio::task::spawn_blocking(start_kubernetes).await.unwrap();
    let world = World::on("malformed", &kubernetes).await;
    world.put_secret(&world.redis, &world.postgres).await;
    // As if the definition were that of another version.
    let output = kubernetes
        .kubectl()
        .args(["patch", "crd/flashsales.flashsale.dev", "--type=json", "-p"])
        .arg(
            r#"[{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema",
                "value": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}]"#,
        )
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let malformed = json!({
        "apiVersion": "flashsale.dev/v1alpha1", "kind": "FlashSale",
        "metadata": {"name": "malformed"}, "spec": {"schedule": 7},
    });
    let malformed: kube::core::DynamicObject = serde_json::from_value(malformed).unwrap();
    let kind = kube::api::ApiResource::erase::<FlashSale>(&());
    let api = kube::Api::namespaced_with(world.client.clone(), world.namespace, &kind);
    let params = kube::api::PostParams::default();
    // The API server takes a while to let it pass.
    let begun = std::time::Instant::now();
    while let Err(error) = api.create(&params, &malformed).await {
        assert!(begun.elapsed().as_secs() < 30, "{error}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }

    let operator = world.operator("one");
    world.flash_sale("deal", json!({"schedule": YEARLY})).await;
    world
        .await_status("the other is reconciled", "deal", |status| {
            is_true(status, "Ready")
        })
        .await;
    let note = world.await_event("malformed", "Malformed").await;
    assert!(
        note.starts_with("found no FlashSale of this version"),
        "{note}"
    );

    // It can be deleted, too, also where an operator that knew it had kept it for a clean-up.
    let kept = Patch::Merge(json!({"metadata": {"finalizers": ["flashsale.dev/stores"]}}));
    let params = PatchParams::default();
    api.patch("malformed", &params, &kept).await.unwrap();
    api.delete("malformed", &Default::default()).await.unwrap();
    let begun = std::time::Instant::now();
    while api.get_opt("malformed").await.unwrap().is_some() {
        assert!(begun.elapsed().as_secs() < 60, "{}", operator.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flash_sale_that_is_made_wrong_in_the_middle_of_a_sale_brings_it_to_its_end() {
    let world = World::new("made-wrong").await;
    let _operator = world.operator("one");
    let single = |duration| {
        json!({
            "startAt": soon(3), "duration": duration,
            "api": {"replicas": {"idle": 1, "sale": 3}, "coolDown": "1s"},
        })
    };
    world.flash_sale("deal", single("15s")).await;
    world
        .await_status("it sells", "deal", |status| status.phase == Phase::Selling)
        .await;
    // The API server cannot judge time zones.
    let wrong =
        json!({"spec": {"timeZone": "Mars/Olympus", "startAt": null, "schedule": "0 * * * *"}});
    world.patch::<FlashSale>("deal", wrong).await;
    let status = world.await_status("it is invalid", "deal", |status| {
        status.phase == Phase::Invalid
    });
    let status = status.await;
    assert!(status.active_sale.is_some(), "it goes on: {status:?}");
    let deployment = world
        .get::<k8s_openapi::api::apps::v1::Deployment>("deal-api")
        .await
        .unwrap();
    assert_eq!(deployment.spec.unwrap().replicas, Some(3), "its pods stay");

    let status = world.await_status("it is over", "deal", |status| {
        status.history.len() == 1 && status.active_sale.is_none()
    });
    let status = status.await;
    assert_eq!(status.phase, Phase::Invalid);
    assert!(
        condition(&status, "Ready")
            .unwrap()
            .message
            .contains("Mars/Olympus")
    );
    world.await_event("deal", "Settled").await;
    let [record] = &world.records("deal").await[..] else {
        panic!("one sale was held")
    };
    assert!(record.settled_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_sale_opens_although_its_secret_is_gone_and_its_stores_may_change_once_it_is_over()
 {
    let world = World::new("prepared").await;
    let _operator = world.operator("one");
    let more = json!({"startAt": soon(8), "duration": "12s", "api": {"coolDown": "1s"}});
    world.flash_sale("deal", more).await;
    world
        .await_status("it is seeded", "deal", |status| is_true(status, "Seeded"))
        .await;
    let secrets = world.api::<Secret>();
    secrets.delete("stores", &Default::default()).await.unwrap();
    world
        .await_status("it is refused", "deal", |status| {
            condition(status, "Ready").is_some_and(|ready| ready.reason == "WrongReference")
        })
        .await;
    let status = world.await_status("it sells", "deal", |status| status.phase == Phase::Selling);
    assert!(is_true(&status.await, "Selling"));
    // While a sale is open, its backends cannot change.
    let elsewhere = json!({"spec": {"redis": {"secretKeyRef": {"name": "other"}}}});
    let (params, elsewhere) = (PatchParams::default(), Patch::Merge(elsewhere));
    let flash_sales = world.api::<FlashSale>();
    let refused = flash_sales.patch("deal", &params, &elsewhere).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("spec.redis"), "{refused}");

    let status = world.await_status("it is over", "deal", |status| status.history.len() == 1);
    assert!(!is_true(&status.await, "Selling"));
    flash_sales
        .patch("deal", &params, &elsewhere)
        .await
        .unwrap();
}
