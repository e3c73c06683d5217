//! The objects of a FlashSale, by the fields that a user changes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pods;
mod snapshots;

use serde_json::{Value, json};

use super::*;
use crate::crd::FlashSale;

/// A FlashSale as the API server gives it, with these fields of `spec.api`.
fn flash_sale(name: &str, api: Value) -> FlashSale {
    serde_json::from_value(json!({
        "apiVersion": "flashsale.dev/v1alpha1",
        "kind": "FlashSale",
        "metadata": {"name": name, "namespace": "market", "uid": "9a5c81a6-0b6f-4f0a-8a42-3f5a7f1f2c11"},
        "spec": {
            "schedule": "@hourly",
            "catalog": {"generate": {"count": 100}},
            "redis": {"secretKeyRef": {"name": "stores", "key": "redis"}},
            "postgres": {"secretKeyRef": {"name": "stores", "key": "postgres"}},
            "api": api,
        },
    }))
    .unwrap()
}

fn defaults() -> PodDefaults {
    PodDefaults {
        image: "localhost/flashsale:dev".to_owned(),
        image_pull_policy: "IfNotPresent".to_owned(),
        image_pull_secrets: Vec::new(),
        resources: serde_json::from_value(json!({
            "requests": {"cpu": "250m", "memory": "128Mi"},
            "limits": {"memory": "512Mi"},
        }))
        .unwrap(),
    }
}

fn inputs<'a>(flash_sale: &'a FlashSale, defaults: &'a PodDefaults) -> Inputs<'a> {
    Inputs {
        flash_sale,
        defaults,
        replicas: 2,
        revision: "stores/17".to_owned(),
    }
}

/// Everything that is made, each object as it is sent.
fn sent(inputs: &Inputs<'_>) -> Vec<Value> {
    let made = build(inputs);
    let objects = [
        serde_json::to_value(made.service_account),
        serde_json::to_value(made.deployment),
        serde_json::to_value(made.service),
        serde_json::to_value(made.disruption_budget),
        serde_json::to_value(made.network_policy),
        serde_json::to_value(made.autoscaler),
        serde_json::to_value(made.ingress),
        serde_json::to_value(made.service_monitor),
    ];
    let objects = objects.into_iter().map(Result::unwrap);
    objects.filter(|object| !object.is_null()).collect()
}

/// The same for a FlashSale with these fields of `spec.api`, by kind.
fn sent_for(name: &str, api: Value) -> Value {
    let (flash_sale, defaults) = (flash_sale(name, api), defaults());
    by_kind(sent(&inputs(&flash_sale, &defaults)))
}

fn by_kind(objects: Vec<Value>) -> Value {
    let objects = objects.into_iter();
    let objects = objects.map(|object| (object["kind"].as_str().unwrap().to_owned(), object));
    Value::Object(objects.collect())
}

/// The fields in which two values differ.
fn differences(one: &Value, other: &Value) -> Vec<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let mut names: Vec<_> = one.keys().chain(other.keys()).collect();
            names.sort();
            names.dedup();
            let absent = Value::Null;
            let inside = |name: &&String| {
                let sides = (one.get(*name), other.get(*name));
                let found = differences(sides.0.unwrap_or(&absent), sides.1.unwrap_or(&absent));
                let found = found.into_iter().map(|path| format!("/{name}{path}"));
                found.collect::<Vec<_>>()
            };
            names.iter().flat_map(inside).collect()
        }
        _ if one == other => Vec::new(),
        _ => vec![String::new()],
    }
}

fn everything() -> Value {
    json!({
        "autoscaling": {"maxReplicas": 30},
        "ingress": {"host": "shop.example.com"},
    })
}

#[test]
fn everything_is_named_owned_and_labelled_alike() {
    for name in ["shop", "black.friday"] {
        let made = sent_for(name, everything());
        let made = made.as_object().unwrap();
        let kinds: Vec<_> = made.keys().map(String::as_str).collect();
        let expected = [
            "Deployment",
            "HorizontalPodAutoscaler",
            "Ingress",
            "NetworkPolicy",
            "PodDisruptionBudget",
            "Service",
            "ServiceAccount",
            "ServiceMonitor",
        ];
        assert_eq!(kinds, expected);
        for (kind, object) in made {
            let metadata = &object["metadata"];
            assert_eq!(metadata["name"], child_name(name), "{kind}");
            assert_eq!(metadata["namespace"], "market", "{kind}");
            assert_eq!(metadata["labels"], json!(labels(name)), "{kind}");
            let owner = json!([{
                "apiVersion": "flashsale.dev/v1alpha1",
                "kind": "FlashSale",
                "name": name,
                "uid": "9a5c81a6-0b6f-4f0a-8a42-3f5a7f1f2c11",
                "controller": true,
                "blockOwnerDeletion": true,
            }]);
            assert_eq!(metadata["ownerReferences"], owner, "{kind}");
        }
    }
}

#[test]
fn what_refers_to_another_finds_it() {
    let made = sent_for("black.friday", everything());
    let name = json!(child_name("black.friday"));
    let at = |path: &str| made.pointer(path).unwrap_or_else(|| panic!("no {path}"));
    for path in [
        "/Deployment/spec/template/spec/serviceAccountName",
        "/HorizontalPodAutoscaler/spec/scaleTargetRef/name",
        "/Ingress/spec/rules/0/http/paths/0/backend/service/name",
    ] {
        assert_eq!(at(path), &name, "{path}");
    }

    // Whatever selects pods selects those of the Deployment.
    let pods = at("/Deployment/spec/template/metadata/labels");
    let spread = "/Deployment/spec/template/spec/topologySpreadConstraints";
    for path in [
        "/Deployment/spec/selector/matchLabels",
        &format!("{spread}/0/labelSelector/matchLabels"),
        &format!("{spread}/1/labelSelector/matchLabels"),
        "/Service/spec/selector",
        "/PodDisruptionBudget/spec/selector/matchLabels",
        "/NetworkPolicy/spec/podSelector/matchLabels",
    ] {
        assert_eq!(at(path), &json!(selector("black.friday")), "{path}");
        for (label, value) in at(path).as_object().unwrap() {
            assert_eq!(&pods[label], value, "{path}: {label}");
        }
    }
    // The ServiceMonitor selects the Service.
    let service = at("/Service/metadata/labels");
    for (label, value) in at("/ServiceMonitor/spec/selector/matchLabels")
        .as_object()
        .unwrap()
    {
        assert_eq!(&service[label], value, "{label}");
    }

    // Whatever names a port names one that it has.
    let ports = at("/Deployment/spec/template/spec/containers/0/ports");
    let ports = ports.as_array().unwrap();
    for path in [
        "/Service/spec/ports/0/targetPort",
        "/NetworkPolicy/spec/ingress/0/ports/0/port",
        "/NetworkPolicy/spec/ingress/1/ports/0/port",
        "/ServiceMonitor/spec/endpoints/0/targetPort",
        "/Deployment/spec/template/spec/containers/0/startupProbe/httpGet/port",
        "/Deployment/spec/template/spec/containers/0/readinessProbe/httpGet/port",
        "/Deployment/spec/template/spec/containers/0/livenessProbe/httpGet/port",
    ] {
        let named = |port: &&Value| port["name"] == *at(path);
        assert_eq!(ports.iter().filter(named).count(), 1, "{path}");
    }
    let backend = at("/Ingress/spec/rules/0/http/paths/0/backend/service/port/name");
    assert_eq!(backend, at("/Service/spec/ports/0/name"));
}

#[test]
fn metrics_cannot_be_reached_by_the_address_for_clients() {
    let made = sent_for(
        "shop",
        json!({"service": {"type": "LoadBalancer", "port": 8443}}),
    );
    let ports = made["Service"]["spec"]["ports"].as_array().unwrap();
    assert_eq!(ports.len(), 1);
    assert_eq!(
        (&ports[0]["name"], &ports[0]["port"]),
        (&json!("http"), &json!(8443))
    );
    // Nor from outside the cluster at all.
    let rules = made["NetworkPolicy"]["spec"]["ingress"].as_array().unwrap();
    let from = |port: &str| {
        let mut rules = rules.iter();
        let rule = rules.find(|rule| rule["ports"][0]["port"] == port);
        rule.unwrap()["from"].clone()
    };
    assert_eq!(from("internal"), json!([{"namespaceSelector": {}}]));
    assert_eq!(from("http"), Value::Null, "anybody");
}

#[test]
fn scaling_changes_the_number_and_nothing_else() {
    let (flash_sale, defaults) = (flash_sale("shop", json!({})), defaults());
    let idle = inputs(&flash_sale, &defaults);
    let sale = Inputs {
        replicas: 6,
        ..idle.clone()
    };
    let none = Inputs {
        replicas: 0,
        ..idle.clone()
    };
    let idle = by_kind(sent(&idle));
    for (inputs, replicas) in [(sale, 6), (none, 0)] {
        let scaled = by_kind(sent(&inputs));
        assert_eq!(differences(&idle, &scaled), ["/Deployment/spec/replicas"]);
        assert_eq!(scaled["Deployment"]["spec"]["replicas"], replicas);
    }
}

#[test]
fn an_autoscaler_owns_the_number_and_the_operator_moves_its_minimum() {
    let flash_sale = flash_sale("shop", json!({"autoscaling": {"maxReplicas": 30}}));
    let defaults = defaults();
    let idle = inputs(&flash_sale, &defaults);
    let sale = Inputs {
        replicas: 6,
        ..idle.clone()
    };
    let none = Inputs {
        replicas: 0,
        ..idle.clone()
    };
    let [idle, sale, none] = [idle, sale, none].map(|inputs| by_kind(sent(&inputs)));

    assert_eq!(idle["Deployment"]["spec"].get("replicas"), None);
    let minimum = "/HorizontalPodAutoscaler/spec/minReplicas";
    assert_eq!(differences(&idle, &sale), [minimum]);
    assert_eq!(sale.pointer(minimum), Some(&json!(6)));
    // Not even at rest can it go to none, which the API server would refuse.
    assert_eq!(none.pointer(minimum), Some(&json!(1)));
    assert_eq!(none["HorizontalPodAutoscaler"]["spec"]["maxReplicas"], 30);
}

#[test]
fn other_secrets_replace_the_pods_and_change_nothing_else() {
    let (flash_sale, defaults) = (flash_sale("shop", everything()), defaults());
    let before = inputs(&flash_sale, &defaults);
    let after = Inputs {
        revision: "stores/18".to_owned(),
        ..before.clone()
    };
    let found = differences(&by_kind(sent(&before)), &by_kind(sent(&after)));
    assert_eq!(
        found,
        ["/Deployment/spec/template/metadata/annotations/flashsale.dev/stores-revision"]
    );
}

#[test]
fn a_user_without_wish_gets_no_service_monitor() {
    for is_desired in [true, false] {
        let (flash_sale, defaults) = (
            flash_sale("shop", json!({"serviceMonitor": is_desired})),
            defaults(),
        );
        let made = build(&inputs(&flash_sale, &defaults)).service_monitor;
        assert_eq!(made.is_some(), is_desired);
        if let Some(made) = made {
            let types = made.types.unwrap();
            assert_eq!(types.api_version, "monitoring.coreos.com/v1");
        }
    }
}

#[test]
fn drains_of_nodes_are_never_held_up() {
    let made = sent_for("shop", json!({"replicas": {"idle": 0, "sale": 1}}));
    let budget = &made["PodDisruptionBudget"]["spec"];
    assert_eq!(budget["maxUnavailable"], 1);
    assert_eq!(budget.get("minAvailable"), None);
    assert_eq!(budget["unhealthyPodEvictionPolicy"], "AlwaysAllow");
}
