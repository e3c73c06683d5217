//! What stands in the cluster for a FlashSale follows it.

use flashsale_operator::crd::FlashSale;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::support::World;

const HOURLY: &str = "0 * * * *";
/// A schedule that is far away at all times of a test run.
const YEARLY: &str = "30 3 1 1 *";

fn annotation(deployment: &Deployment) -> Option<String> {
    let template = &deployment.spec.as_ref()?.template;
    let annotations = template.metadata.as_ref()?.annotations.as_ref()?;
    annotations.get("flashsale.dev/stores-revision").cloned()
}

fn replicas(deployment: &Deployment) -> Option<i32> {
    deployment.spec.as_ref().unwrap().replicas
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_made_owned_and_deleted_when_it_is_not_wanted_any_more() {
    let world = World::new("made").await;
    let _operator = world.operator("one");
    let ingress = json!({"host": "shop.example", "className": "nginx"});
    let flash_sale = world
        .flash_sale(
            "deal",
            json!({"schedule": YEARLY, "api": {"ingress": ingress}}),
        )
        .await;
    let made = "it is made";
    let ingress = world.await_that(made, "deal-api", |_: &Ingress| true).await;
    let owned = [
        ingress.metadata,
        world
            .await_that(made, "deal-api", |_: &Deployment| true)
            .await
            .metadata,
        world
            .await_that(made, "deal-api", |_: &Service| true)
            .await
            .metadata,
        world
            .await_that(made, "deal-api", |_: &ServiceAccount| true)
            .await
            .metadata,
        world
            .await_that(made, "deal-api", |_: &NetworkPolicy| true)
            .await
            .metadata,
        world
            .await_that(made, "deal-api", |_: &PodDisruptionBudget| true)
            .await
            .metadata,
    ];
    for metadata in owned {
        let owners = metadata.owner_references.unwrap();
        assert_eq!(Some(&owners[0].uid), flash_sale.uid().as_ref());
    }

    world.flash_sale("deal", json!({"schedule": YEARLY})).await;
    world.await_gone::<Ingress>("deal-api").await;
    assert!(world.get::<Service>("deal-api").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_deletes_or_changes_is_put_right() {
    let world = World::new("put-right").await;
    let _operator = world.operator("one");
    world.flash_sale("deal", json!({"schedule": YEARLY})).await;
    let first = world.await_that("it is made", "deal-api", |_: &Service| true);
    let first = first.await;
    world
        .api::<Service>()
        .delete("deal-api", &DeleteParams::default())
        .await
        .unwrap();
    world
        .await_that("it is there again", "deal-api", |found: &Service| {
            found.uid() != first.uid()
        })
        .await;

    world
        .await_that("it is made", "deal-api", |_: &Deployment| true)
        .await;
    let scaled = json!({"spec": {"replicas": 17}});
    world.patch::<Deployment>("deal-api", scaled).await;
    world
        .await_that("it has its number of pods again", "deal-api", |found| {
            replicas(found) == Some(2)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_takes_the_number_of_pods_over_without_a_moment_of_one_pod() {
    let world = World::new("autoscaled").await;
    let _operator = world.operator("one");
    let spec = |autoscaling: Value| {
        json!({"schedule": YEARLY, "api": {
            "replicas": {"idle": 4, "sale": 8},
            "autoscaling": autoscaling,
        }})
    };
    let mut without = spec(json!({}));
    without["api"]
        .as_object_mut()
        .unwrap()
        .remove("autoscaling");
    world.flash_sale("deal", without.clone()).await;
    world
        .await_that("it has its pods", "deal-api", |found| {
            replicas(found) == Some(4)
        })
        .await;

    world
        .flash_sale("deal", spec(json!({"maxReplicas": 20})))
        .await;
    let autoscaler = world
        .await_that("it is made", "deal-api", |_: &HorizontalPodAutoscaler| true)
        .await;
    assert_eq!(autoscaler.spec.unwrap().min_replicas, Some(4));
    let deployment = world.get::<Deployment>("deal-api").await.unwrap();
    assert_eq!(replicas(&deployment), Some(4), "the pods stay");

    // What the autoscaler sets stays, whatever else changes.
    world
        .patch::<Deployment>("deal-api", json!({"spec": {"replicas": 11}}))
        .await;
    let mut changed = spec(json!({"maxReplicas": 20}));
    changed["api"]["podTemplate"] = json!({"priorityClassName": "high"});
    world.flash_sale("deal", changed).await;
    let deployment = world.await_that("it has changed", "deal-api", |found: &Deployment| {
        let pods = found.spec.as_ref().unwrap().template.spec.as_ref();
        pods.is_some_and(|pods| pods.priority_class_name.as_deref() == Some("high"))
    });
    assert_eq!(replicas(&deployment.await), Some(11));

    // Without the autoscaler the number is ours again.
    world.flash_sale("deal", without).await;
    world
        .await_gone::<HorizontalPodAutoscaler>("deal-api")
        .await;
    world
        .await_that("it has its pods", "deal-api", |found| {
            replicas(found) == Some(4)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_are_rolled_when_the_secret_changes() {
    let world = World::new("rolled").await;
    let _operator = world.operator("one");
    world.flash_sale("deal", json!({"schedule": YEARLY})).await;
    let first = world
        .await_that("it is made", "deal-api", |_: &Deployment| true)
        .await;
    let first = annotation(&first).unwrap();
    assert!(!first.is_empty());
    let same = world.postgres.clone() + "?application_name=other";
    world.put_secret(&world.redis, &same).await;
    world
        .await_that("its pods are rolled", "deal-api", |found: &Deployment| {
            annotation(found).is_some_and(|now| now != first)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_somebody_else_is_not_taken_over() {
    let world = World::new("taken").await;
    let theirs = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "deal-api"},
        "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 1234}]},
    });
    world.apply::<Service>("deal-api", theirs).await;
    let _operator = world.operator("one");
    world.flash_sale("deal", json!({"schedule": HOURLY})).await;
    let note = world.await_event("deal", "NotApplied").await;
    assert!(
        note.starts_with("found Service deal-api, which belongs to somebody else"),
        "{note}"
    );
    let service = world.get::<Service>("deal-api").await.unwrap();
    let selector = service.spec.unwrap().selector.unwrap();
    assert_eq!(selector["app"], "theirs");

    // Once it is out of the way all is well.
    let params = DeleteParams::default();
    let services = world.api::<Service>();
    services.delete("deal-api", &params).await.unwrap();
    world
        .await_that("it is made", "deal-api", |found: &Service| {
            found.labels().contains_key("flashsale.dev/flash-sale")
        })
        .await;
    world
        .await_status("it is reported", "deal", |status| {
            super::support::condition(status, "ApiAvailable")
                .is_some_and(|found| found.reason != "NotApplied")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_autoscaler_all_pods_are_there_at_once() {
    let world = World::new("at-once").await;
    let _operator = world.operator("one");
    let api = json!({"replicas": {"idle": 3, "sale": 8}, "autoscaling": {"maxReplicas": 20}});
    let spec = json!({"schedule": YEARLY, "api": api});
    world.flash_sale("deal", spec).await;
    // No autoscaler works here.
    world
        .await_that("it has its pods", "deal-api", |found| {
            replicas(found) == Some(3)
        })
        .await;
    // One that takes some away may do so.
    world
        .patch::<Deployment>("deal-api", json!({"spec": {"replicas": 2}}))
        .await;
    world
        .patch::<FlashSale>(
            "deal",
            json!({"spec": {"api": {"podTemplate": {"labels": {"a": "b"}}}}}),
        )
        .await;
    let deployment = world.await_that("it has changed", "deal-api", |found: &Deployment| {
        let template = &found.spec.as_ref().unwrap().template;
        template
            .metadata
            .as_ref()
            .unwrap()
            .labels
            .as_ref()
            .unwrap()
            .contains_key("a")
    });
    assert_eq!(replicas(&deployment.await), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_finds_pods_also_where_there_were_none() {
    let world = World::new("from-none").await;
    let _operator = world.operator("one");
    let spec = |api: Value| json!({"schedule": YEARLY, "api": api});
    let none = json!({"replicas": {"idle": 0, "sale": 8}});
    world.flash_sale("deal", spec(none.clone())).await;
    world
        .await_that("it has no pods", "deal-api", |found| {
            replicas(found) == Some(0)
        })
        .await;
    // Kubernetes' autoscaler leaves alone what has none.
    let mut autoscaled = none;
    autoscaled["autoscaling"] = json!({"maxReplicas": 20});
    world.flash_sale("deal", spec(autoscaled)).await;
    world
        .await_that("it has one", "deal-api", |found| replicas(found) == Some(1))
        .await;
    world
        .patch::<Deployment>("deal-api", json!({"spec": {"replicas": 0}}))
        .await;
    world
        .await_that("it has one again", "deal-api", |found| {
            replicas(found) == Some(1)
        })
        .await;
}
