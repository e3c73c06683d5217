//! Leader election among several operators.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use serde_json::json;

use super::support::{LEASE_SECONDS, World, is_true, soon, start_kubernetes};

const LEASE: &str = "flashsale-operator";

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_within_the_lease_time_of_one_that_is_killed() {
    let world = World::new("standby").await;
    let mut first = world.operator("first");
    first.await_leading(true).await;
    let second = world.operator("second");
    assert!(second.ask("/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(!second.leads().await);

    first.kill();
    let killed = Instant::now();
    second.await_leading(true).await;
    let took = killed.elapsed();
    // A sixth of the duration until the last renewal is observed, another until the Lease is
    // observed again, and a busy machine.
    let limit = Duration::from_secs(LEASE_SECONDS) * 4 / 3 + Duration::from_secs(2);
    assert!(took < limit, "took {took:?}");
    let lease = world.get::<Lease>(LEASE).await.unwrap();
    assert_eq!(holder(&lease), Some("second"));
    assert_eq!(lease.spec.unwrap().lease_transitions, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sigterm_the_lease_is_handed_over_at_once() {
    let world = World::new("handed-over").await;
    // As the chart has it. Left alone it would be good for ten seconds and more.
    let lease_seconds = 15;
    let mut first = world.operator_with("first", lease_seconds);
    first.await_leading(true).await;
    let second = world.operator_with("second", lease_seconds);
    assert!(!second.leads().await);
    let terminated = Instant::now();
    assert_eq!(first.terminate(), 0);
    second.await_leading(true).await;
    let took = terminated.elapsed();
    assert!(
        took < Duration::from_secs(lease_seconds / 2),
        "took {took:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_do_everything_once() {
    let world = World::new("two").await;
    let _first = world.operator("first");
    let _second = world.operator("second");
    let more = json!({"startAt": soon(3), "duration": "1h"});
    world.flash_sale("deal", more).await;
    world
        .await_status("it sells", "deal", |status| is_true(status, "Selling"))
        .await;
    assert_eq!(world.records("deal").await.len(), 1);
    world.await_event("deal", "Opened").await;
    let events = world.api::<k8s_openapi::api::events::v1::Event>();
    let events = events.list(&Default::default()).await.unwrap();
    let opened = events
        .items
        .iter()
        .filter(|event| event.reason.as_deref() == Some("Opened"));
    assert_eq!(opened.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_renew_stops_leading_and_goes_on_when_the_api_server_is_back() {
    let kubernetes = tokio::task::spawn_blocking(start_kubernetes).await.unwrap();
    let world = World::on("cut-off", &kubernetes).await;
    world.put_secret(&world.redis, &world.postgres).await;
    let operator = world.operator("first");
    operator.await_leading(true).await;
    let mut kubernetes = kubernetes;
    kubernetes.kill_api_server();
    let cut_off = Instant::now();
    operator.await_leading(false).await;
    let took = cut_off.elapsed();
    // Nobody else can have the Lease before.
    assert!(took < Duration::from_secs(LEASE_SECONDS), "took {took:?}");
    let kubernetes = tokio::task::spawn_blocking(move || {
        kubernetes.restart_api_server().unwrap();
        kubernetes
    });
    let _kubernetes = kubernetes.await.unwrap();
    operator.await_leading(true).await;
    let more = json!({"schedule": "30 3 1 1 *"});
    world.flash_sale("deal", more).await;
    world
        .await_status("it is reconciled", "deal", |status| {
            is_true(status, "Ready")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_the_lease_in_the_hands_of_another_stops_leading() {
    let world = World::new("robbed").await;
    let operator = world.operator("first");
    operator.await_leading(true).await;
    let stolen = json!({"spec": {"holderIdentity": "thief"}});
    world.patch::<Lease>(LEASE, stolen).await;
    operator.await_leading(false).await;
    // And takes it back once nobody renews it.
    operator.await_leading(true).await;
}
