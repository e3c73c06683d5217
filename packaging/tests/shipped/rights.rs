//! What the operator may do: as much as it needs, each with its reason, and no more.

use serde_json::{Value, json};

use crate::support::rendered::{Rendered, strings};

#[test]
fn the_operator_looks_after_all_namespaces_by_default() {
    let chart = Rendered::with(&[]);
    let role = chart.one("ClusterRole");
    let binding = chart.one("ClusterRoleBinding");
    assert_eq!(binding["roleRef"]["kind"], "ClusterRole");
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    assert_eq!(binding["subjects"], subject());
    let args = strings(&chart.operator()["args"]);
    assert!(!args.iter().any(|arg| arg.starts_with("--namespace")));
}

#[test]
fn with_one_namespace_it_has_the_same_rights_there_and_none_elsewhere() {
    let everywhere = Rendered::with(&[]);
    let chart = Rendered::with(&["watchNamespace=fair"]);
    assert!(!chart.kinds().iter().any(|kind| kind.starts_with("Cluster")));
    let role = chart.named("Role", "shop-operator");
    assert_eq!(role["metadata"]["namespace"], "fair");
    assert_eq!(role["rules"], everywhere.one("ClusterRole")["rules"]);
    let binding = chart.named("RoleBinding", "shop-operator");
    assert_eq!(binding["metadata"]["namespace"], "fair");
    assert_eq!(binding["roleRef"]["kind"], "Role");
    assert_eq!(binding["roleRef"]["name"], "shop-operator");
    assert_eq!(binding["subjects"], subject());
    assert!(strings(&chart.operator()["args"]).contains(&"--namespace=fair"));
}

/// The operator itself stays in the namespace of the release.
fn subject() -> Value {
    json!([{"kind": "ServiceAccount", "name": "shop-operator", "namespace": "sales"}])
}

#[test]
fn the_lease_is_in_the_namespace_of_the_release_and_the_only_one_it_may_change() {
    let chart = Rendered::with(&["watchNamespace=fair"]);
    let role = chart.named("Role", "shop-operator-leader-election");
    assert_eq!(role["metadata"]["namespace"], "sales");
    let leases = |verbs: Value| json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs});
    let mut named = leases(json!(["get", "update", "patch"]));
    named["resourceNames"] = json!(["shop-operator"]);
    assert_eq!(role["rules"], json!([leases(json!(["create"])), named]));
    let args = strings(&chart.operator()["args"]);
    assert!(args.contains(&"--lease-namespace=sales"));
    assert!(args.contains(&"--lease-name=shop-operator"));
}

#[test]
fn every_rule_has_its_reason_beside_it() {
    for values in [&[][..], &["watchNamespace=fair"]] {
        let chart = Rendered::with(values);
        let roles = ["ClusterRole", "Role"].into_iter();
        let roles = roles.flat_map(|kind| chart.all(kind));
        let rules: usize = roles
            .map(|role| role["rules"].as_array().unwrap().len())
            .sum();
        let lines: Vec<_> = chart.text.lines().collect();
        let mut seen = 0;
        for pair in lines.windows(2) {
            if pair[1].trim_start().starts_with("- apiGroups:") {
                seen += 1;
                let reason = pair[0].trim_start();
                assert!(
                    reason.starts_with("# ") && reason.ends_with('.'),
                    "{pair:?}"
                );
            }
        }
        assert_eq!(seen, rules, "each rule begins with its API groups");
    }
}

#[test]
fn it_may_change_what_it_makes_and_read_what_it_is_told() {
    let chart = Rendered::with(&[]);
    let may = |group: &str, resource: &str| -> String {
        let rules = chart.one("ClusterRole")["rules"].as_array().unwrap();
        let mut verbs = Vec::new();
        for rule in rules {
            let covers = |list: &Value, item| strings(list).contains(&item);
            if covers(&rule["apiGroups"], group) && covers(&rule["resources"], resource) {
                verbs.extend(strings(&rule["verbs"]));
            }
        }
        verbs.join(" ")
    };
    for (group, resource) in [
        ("", "services"),
        ("", "serviceaccounts"),
        ("apps", "deployments"),
        ("autoscaling", "horizontalpodautoscalers"),
        ("policy", "poddisruptionbudgets"),
        ("networking.k8s.io", "networkpolicies"),
        ("networking.k8s.io", "ingresses"),
        ("monitoring.coreos.com", "servicemonitors"),
    ] {
        assert_eq!(
            may(group, resource),
            "get list watch create patch delete",
            "{resource}"
        );
    }
    assert_eq!(may("", "secrets"), "get list watch");
    assert_eq!(may("", "configmaps"), "get list watch");
    assert_eq!(may("flashsale.dev", "flashsales"), "get list watch patch");
    assert_eq!(may("flashsale.dev", "flashsales/status"), "patch");
    assert_eq!(may("flashsale.dev", "flashsales/finalizers"), "update");
    assert_eq!(may("events.k8s.io", "events"), "create patch");
}

#[test]
fn it_has_no_right_over_everything_nor_over_rights() {
    let chart = Rendered::with(&[]);
    for rule in chart.one("ClusterRole")["rules"].as_array().unwrap() {
        for part in ["apiGroups", "resources", "verbs"] {
            assert!(!strings(&rule[part]).contains(&"*"), "{rule}");
        }
        let verbs = strings(&rule["verbs"]);
        for verb in ["deletecollection", "escalate", "bind", "impersonate"] {
            assert!(!verbs.contains(&verb), "{rule}");
        }
        assert!(!strings(&rule["apiGroups"]).contains(&"rbac.authorization.k8s.io"));
    }
}
