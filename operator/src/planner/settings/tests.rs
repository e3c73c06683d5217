#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};

use super::*;

/// A resource that is fine, with `patch` merged into its spec.
fn flash_sale(patch: Value) -> FlashSale {
    let mut spec = json!({
        "schedule": "0 * * * *",
        "catalog": {"generate": {"count": 100}},
        "redis": {"secretKeyRef": {"name": "redis", "key": "url"}},
        "postgres": {"secretKeyRef": {"name": "postgres", "key": "url"}},
    });
    merge(&mut spec, patch);
    serde_json::from_value(json!({
        "apiVersion": "flashsale.dev/v1alpha1",
        "kind": "FlashSale",
        "metadata": {"name": "hourly", "namespace": "shop"},
        "spec": spec,
    }))
    .unwrap()
}

fn merge(base: &mut Value, patch: Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    base.remove(&key);
                } else {
                    merge(base.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (base, patch) => *base = patch,
    }
}

#[test]
fn a_short_manifest_gets_the_defaults() {
    let settings = validate(&flash_sale(json!({}))).unwrap();
    assert_eq!(settings.name.to_string(), "shop.hourly");
    assert_eq!(settings.duration, SignedDuration::from_hours(1));
    assert_eq!(
        (settings.per_user, settings.per_checkout, settings.total),
        (10, 10, None)
    );
    assert_eq!(
        (
            settings.idle_replicas,
            settings.sale_replicas,
            settings.max_replicas
        ),
        (2, 6, None)
    );
    assert_eq!(
        (settings.warm_up.as_mins(), settings.cool_down.as_mins()),
        (3, 5)
    );
    assert_eq!(
        (settings.starting_deadline, settings.best_effort),
        (None, false)
    );
    assert_eq!(
        (
            settings.successful_history_limit,
            settings.failed_history_limit
        ),
        (24, 3)
    );
    assert_eq!(settings.attempts_retention_days, 30);
}

#[test]
fn a_limit_for_a_user_limits_his_cart_too() {
    let settings = validate(&flash_sale(json!({"limits": {"perUser": 3}}))).unwrap();
    assert_eq!(settings.per_checkout, 3);
}

/// A patch of the spec, the field and a part of its error, and what refuses the patch first: a rule
/// of the schema, or the settings alone.
const INVALID: &str = r#"
{"startAt": "2026-11-27T08:00:00Z"} | spec.schedule | found both | schema
{"schedule": null} | spec.schedule | found neither | schema
{"schedule": "61 * * * *"} | spec.schedule | `61 * * * *` | settings
{"schedule": "0 0 31 2 *"} | spec.schedule | never matches | settings
{"schedule": null, "startAt": "tomorrow"} | spec.startAt | `tomorrow` | settings
{"schedule": null, "startAt": "9999-12-30T00:00:00Z"} | spec.startAt | 2000 to 2999 | settings
{"timeZone": "Europe/Atlantis"} | spec.timeZone | `Europe/Atlantis` | settings
{"duration": "0s"} | spec.duration | from 1s to 744h | schema
{"schedule": "0 0 1 1 *", "duration": "745h"} | spec.duration | `745h` | schema
{"duration": "an hour"} | spec.duration | `an hour` | settings
{"duration": "1h1h"} | spec.duration | `1h1h` | settings
{"duration": "2h"} | spec.duration | at most 1h | settings
{"startingDeadlineSeconds": 0} | spec.startingDeadlineSeconds | found 0 | settings
{"successfulSalesHistoryLimit": -1} | spec.successfulSalesHistoryLimit | 0 to 100 | settings
{"failedSalesHistoryLimit": 101} | spec.failedSalesHistoryLimit | 0 to 100 | settings
{"attemptsRetentionDays": 0} | spec.attemptsRetentionDays | 1 to 3650 | settings
{"catalog": {"generate": null}} | spec.catalog | found neither | schema
{"catalog": {"configMapRef": {"name": "c", "key": "k"}}} | spec.catalog | found both | schema
{"catalog": {"generate": {"count": 0}}} | spec.catalog.generate.count | 1 to 1000000 | settings
{"limits": {"total": 101}} | spec.limits.total | count, 100 | schema
{"limits": {"perUser": 0}} | spec.limits.perUser | 1 to 1000 | settings
{"limits": {"perUser": 2, "perCheckout": 3}} | spec.limits.perCheckout | perUser, 2 | schema
{"redis": {"secretKeyRef": {"name": ""}}} | spec.redis.secretKeyRef.name | 0 characters | settings
{"api": {"warmUp": "25h"}} | spec.api.warmUp | to 24h | schema
{"api": {"coolDown": "25h"}} | spec.api.coolDown | to 24h | schema
{"api": {"replicas": {"idle": 7}}} | spec.api.replicas.idle | sale, 6 | schema
{"api": {"autoscaling": {"maxReplicas": 5}}} | spec.api.autoscaling.maxReplicas | sale, 6 | schema
{"api": {"autoscaling": {"maxReplicas": 9}, "resources": {"requests": {"memory": "1Gi"}}}} | spec.api.resources.requests.cpu | found nothing | settings
"#;

#[test]
fn an_invalid_value_is_refused_with_its_field() {
    let cases: Vec<&str> = INVALID.trim().lines().collect();
    assert_eq!(cases.len(), 28);
    for case in cases {
        let columns: Vec<&str> = case.split('|').map(str::trim).collect();
        let [patch, path, mentions, refused_by] = columns[..] else {
            panic!("{case}")
        };
        let refused_by_rules = refused_by == "schema";
        let flash_sale = flash_sale(serde_json::from_str(patch).expect(patch));
        let errors = validate(&flash_sale).expect_err(patch);
        let error = errors.iter().find(|error| error.path == path);
        let error = error.unwrap_or_else(|| panic!("{patch}: {errors:?}"));
        let error = error.to_string();
        assert!(
            error.contains(mentions),
            "{patch}: `{error}` does not mention `{mentions}`"
        );
        assert!(
            errors.len() == 1 || !refused_by_rules,
            "{patch}: one fault, one message: {errors:?}"
        );

        let by_rules = kube::core::cel::validate_cel(&flash_sale).is_err();
        assert!(
            by_rules || !refused_by_rules,
            "{patch}: the rules of the schema let it pass"
        );
    }
}

#[test]
fn zones_are_found_also_where_the_machine_has_no_database_of_them() {
    let bundled = jiff::tz::TimeZoneDatabase::bundled();
    for zone in ["Etc/UTC", "Europe/Berlin", "Australia/Lord_Howe"] {
        assert!(bundled.get(zone).is_ok(), "{zone}");
    }
}

#[test]
fn names_are_those_of_kubernetes_and_short_enough_for_the_ids_of_sales() {
    let named = |namespace: &str, name: &str| {
        let mut flash_sale = flash_sale(json!({}));
        flash_sale.metadata.namespace = Some(namespace.to_owned());
        flash_sale.metadata.name = Some(name.to_owned());
        flash_sale
    };
    let long = "a".repeat(201);
    for name in ["hourly", "a.b-c.d1", &long[1..]] {
        let flash_sale = named("shop-1", name);
        validate(&flash_sale).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        kube::core::cel::validate_cel(&flash_sale).unwrap();
    }
    for name in [
        "", "a..b", ".a", "a.", "a.-b", "a-.b", "Hourly", "a_b", "ä", &long,
    ] {
        let errors = validate(&named("shop", name)).expect_err(name);
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, ["metadata.name"], "{name}");
        assert!(errors[0].found.len() < 100, "shortened: {}", errors[0]);
    }
    for namespace in ["", "a.b", "-a", "Shop", &long[..64]] {
        let errors = validate(&named(namespace, "hourly")).expect_err(namespace);
        assert_eq!(errors[0].path, "metadata.namespace", "{namespace}");
    }
    // The API server checks the shape of names by itself; their length is a rule of ours.
    let message = kube::core::cel::validate_cel(&named("shop", &long)).unwrap_err();
    assert!(
        message.to_string().contains("at most 200 characters"),
        "{message}"
    );
}

#[test]
fn what_is_fine_passes_the_rules_of_the_schema_too() {
    let fine = [
        json!({}),
        json!({"schedule": null, "startAt": "2026-11-27T09:00:00+01:00"}),
        json!({"catalog": {"generate": null, "configMapRef": {"name": "c", "key": "items.csv"}}}),
        json!({"limits": {"perUser": 5, "perCheckout": 5, "total": 100}, "duration": "59m59s"}),
        json!({"api": {"replicas": {"idle": 0, "sale": 9}, "autoscaling": {"maxReplicas": 9}, "warmUp": "0s"}}),
        json!({"api": {"autoscaling": {"maxReplicas": 9}, "resources": {"limits": {"cpu": "1"}}}}),
        json!({"api": {"resources": {"requests": {"memory": "1Gi"}}}}),
    ];
    for patch in fine {
        let flash_sale = flash_sale(patch.clone());
        validate(&flash_sale).unwrap_or_else(|errors| panic!("{patch}: {errors:?}"));
        kube::core::cel::validate_cel(&flash_sale)
            .unwrap_or_else(|errors| panic!("{patch}: {errors:?}"));
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let patch = json!({"timeZone": "Nowhere", "duration": "x", "limits": {"perUser": 0}});
    let paths: Vec<_> = validate(&flash_sale(patch))
        .unwrap_err()
        .into_iter()
        .map(|e| e.path)
        .collect();
    assert_eq!(
        paths,
        ["spec.timeZone", "spec.duration", "spec.limits.perUser"]
    );
}

#[test]
fn the_total_is_checked_once_the_catalogue_is_resolved() {
    let config_map = json!({"generate": null, "configMapRef": {"name": "c", "key": "k"}});
    let settings = validate(&flash_sale(
        json!({"catalog": config_map, "limits": {"total": 50}}),
    ))
    .unwrap();
    let window = settings.window("2026-11-23T08:00:00Z".parse().unwrap());
    assert_eq!(settings.sale(window, 50).unwrap().limits.total, 50);
    let error = settings.sale(window, 49).unwrap_err().to_string();
    assert_eq!(
        error,
        "spec.limits.total: found 50; expected at most the 49 items of the catalogue"
    );
}
