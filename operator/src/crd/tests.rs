//! The rules of the schema on changes, which compare a resource with the one before.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kube::core::cel::{validate_cel, validate_cel_update};
use serde_json::{Value, json};

use super::*;

/// A FlashSale whose stores are in these Secrets, with this status.
fn flash_sale(redis: &str, postgres: &str, status: Value) -> FlashSale {
    serde_json::from_value(json!({
        "apiVersion": "flashsale.dev/v1alpha1",
        "kind": "FlashSale",
        "metadata": {"name": "hourly", "namespace": "shop"},
        "spec": {
            "schedule": "@hourly",
            "catalog": {"generate": {"count": 100}},
            "redis": {"secretKeyRef": {"name": redis, "key": "url"}},
            "postgres": {"secretKeyRef": {"name": postgres, "key": "url"}},
        },
        "status": status,
    }))
    .unwrap()
}

fn selling() -> Value {
    json!({"phase": "Selling", "activeSale": {
        "id": "shop.hourly.20261127T0800Z",
        "startsAt": "2026-11-27T08:00:00Z",
        "endsAt": "2026-11-27T09:00:00Z",
        "total": 100,
        "sold": 1,
        "soldOfTotal": "1/100",
    }})
}

#[test]
fn an_open_sale_keeps_its_backends() {
    let before = flash_sale("redis", "postgres", selling());
    for (redis, postgres, field) in [
        ("elsewhere", "postgres", "spec.redis"),
        ("redis", "elsewhere", "spec.postgres"),
    ] {
        let after = flash_sale(redis, postgres, selling());
        let refused = validate_cel_update(&after, &before).expect_err(field);
        let message = refused.to_string();
        let expected = format!("{field} must not change while a sale is open");
        assert!(message.contains(&expected), "{message}");
    }
    // Everything else may change: it holds from the next sale on.
    let mut after = before.clone();
    after.spec.suspend = true;
    after.spec.api.replicas.sale = 9;
    after.spec.limits.per_user = 20;
    validate_cel_update(&after, &before).unwrap();
}

#[test]
fn backends_may_change_while_no_sale_is_open() {
    for status in [Value::Null, json!({"phase": "Scheduled"})] {
        let before = flash_sale("redis", "postgres", status.clone());
        let after = flash_sale("other-redis", "other-postgres", status);
        validate_cel_update(&after, &before).unwrap();
    }
}

#[test]
fn rules_on_changes_accept_every_new_resource() {
    // One that is restored from a backup may come with the status it had.
    validate_cel(&flash_sale("redis", "postgres", selling())).unwrap();
}

#[test]
fn rows_stay_and_a_service_monitor_is_made_by_default() {
    let short = flash_sale("redis", "postgres", Value::Null);
    assert_eq!(short.spec.deletion_policy, DeletionPolicy::Retain);
    assert!(short.spec.api.service_monitor);

    let mut manifest = serde_json::to_value(short).unwrap();
    manifest["spec"]["deletionPolicy"] = json!("Delete");
    manifest["spec"]["api"]["serviceMonitor"] = json!(false);
    let changed: FlashSale = serde_json::from_value(manifest.clone()).unwrap();
    assert_eq!(changed.spec.deletion_policy, DeletionPolicy::Delete);
    assert!(!changed.spec.api.service_monitor);

    manifest["spec"]["deletionPolicy"] = json!("retain");
    let error = serde_json::from_value::<FlashSale>(manifest).unwrap_err();
    assert!(error.to_string().contains("`Retain`"), "{error}");
}
