//! What stands around the operator: its budget, its network policy, its metrics.

use serde_json::{Value, json};

use crate::support::rendered::Rendered;

#[test]
fn every_object_has_a_namespace_and_says_where_it_comes_from() {
    for values in [
        &[][..],
        &["watchNamespace=fair", "serviceMonitor.enabled=true"],
    ] {
        for object in Rendered::with(values).objects {
            let metadata = &object["metadata"];
            let of_the_cluster = [
                "ClusterRole",
                "ClusterRoleBinding",
                "CustomResourceDefinition",
            ];
            let cluster_wide = of_the_cluster.iter().any(|kind| object["kind"] == *kind);
            assert_eq!(metadata["namespace"].is_null(), cluster_wide, "{metadata}");
            for label in [
                "app.kubernetes.io/managed-by",
                "app.kubernetes.io/version",
                "app.kubernetes.io/part-of",
                "helm.sh/chart",
            ] {
                assert!(metadata["labels"][label].is_string(), "{metadata}: {label}");
            }
        }
    }
}

#[test]
fn whatever_selects_the_operators_selects_them_all_and_nobody_else() {
    let chart = Rendered::with(&["serviceMonitor.enabled=true"]);
    let deployment = &chart.one("Deployment")["spec"];
    let found = &deployment["selector"]["matchLabels"];
    let expected = json!({
        "app.kubernetes.io/name": "flashsale-operator",
        "app.kubernetes.io/instance": "shop",
    });
    assert_eq!(*found, expected);
    let contains = |labels: &Value| {
        let mut pairs = found.as_object().unwrap().iter();
        pairs.all(|(name, value)| labels[name] == *value)
    };
    assert!(contains(&deployment["template"]["metadata"]["labels"]));
    assert!(!contains(&chart.one("Pod")["metadata"]["labels"]));
    assert!(contains(&chart.one("Service")["metadata"]["labels"]));
    for (kind, path) in [
        ("PodDisruptionBudget", "/spec/selector/matchLabels"),
        ("NetworkPolicy", "/spec/podSelector/matchLabels"),
        ("Service", "/spec/selector"),
        ("ServiceMonitor", "/spec/selector/matchLabels"),
    ] {
        let selector = chart.one(kind).pointer(path);
        assert_eq!(selector, Some(found), "{kind}");
    }
}

#[test]
fn the_operators_are_reached_for_their_metrics_alone() {
    let chart = Rendered::with(&["serviceMonitor.enabled=true"]);
    let port = &chart.operator()["ports"][0]["name"];
    let policy = &chart.one("NetworkPolicy")["spec"];
    assert_eq!(policy["policyTypes"], json!(["Ingress"]));
    let ingress = json!([{"ports": [{"port": port, "protocol": "TCP"}]}]);
    assert_eq!(policy["ingress"], ingress);
    let service = &chart.one("Service")["spec"];
    assert_eq!(service["ports"][0]["targetPort"], *port);
    let endpoint = &chart.one("ServiceMonitor")["spec"]["endpoints"][0];
    assert_eq!(endpoint["port"], service["ports"][0]["name"]);
    assert_eq!(endpoint["path"], "/metrics");

    let chart = Rendered::by(&["--values", "packaging/tests/values/everything.yaml"]);
    let policy = &chart.one("NetworkPolicy")["spec"];
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    let from = &policy["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"];
    assert_eq!(from["kubernetes.io/metadata.name"], "monitoring");
    assert_eq!(
        policy["egress"][0]["to"][0]["ipBlock"]["cidr"],
        "10.0.0.0/8"
    );
    let monitor = chart.one("ServiceMonitor");
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(monitor["spec"]["endpoints"][0]["interval"], "15s");
}

#[test]
fn a_drain_takes_one_operator_at_a_time_and_is_not_held_up_by_the_only_one() {
    let chart = Rendered::with(&["replicas=1"]);
    let budget = &chart.one("PodDisruptionBudget")["spec"];
    assert_eq!(budget["maxUnavailable"], 1);
    assert!(budget["minAvailable"].is_null());
}

#[test]
fn what_is_not_wanted_is_not_there() {
    let kinds = |values: &[&str]| -> Vec<String> {
        let chart = Rendered::with(values);
        chart.kinds().into_iter().map(str::to_owned).collect()
    };
    assert!(!kinds(&[]).contains(&"ServiceMonitor".to_owned()));
    for (value, kind) in [
        ("podDisruptionBudget.enabled=false", "PodDisruptionBudget"),
        ("networkPolicy.enabled=false", "NetworkPolicy"),
        ("crds.install=false", "CustomResourceDefinition"),
    ] {
        assert!(kinds(&[]).contains(&kind.to_owned()), "{kind}");
        assert!(!kinds(&[value]).contains(&kind.to_owned()), "{kind}");
    }
}
