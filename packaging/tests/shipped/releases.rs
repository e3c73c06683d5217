//! Releases of the chart on a real API server: installed, upgraded, uninstalled, installed again.

use crate::support::cluster::{Cluster, changed_chart};

const DEFINITION: &str = "crd/flashsales.flashsale.dev";
const INSTALL: &str = "install shop charts/flashsale --namespace sales --create-namespace";

#[test]
fn flash_sales_and_their_definition_outlive_releases_and_are_upgraded_with_them() {
    let cluster = Cluster::start();
    let notes = cluster.helm(INSTALL).unwrap();
    // What to do next is said, and can be copied.
    for next in [
        "kubectl -n sales get deployment shop-operator",
        "kubectl -n sales create secret generic flashsale-redis",
        "--from-literal=url=postgres://",
        "helm -n sales test shop",
        "kubectl -n sales apply -f k8s/samples/hourly.yaml",
        "stays when this release is uninstalled",
    ] {
        assert!(notes.contains(next), "{next}: {notes}");
    }
    cluster.await_definition();
    let applied = "apply --namespace sales -f k8s/samples/hourly.yaml";
    cluster.kubectl(applied).unwrap();
    let uid = || {
        let sale = cluster.get("--namespace sales flashsale hourly").unwrap();
        sale["metadata"]["uid"].as_str().unwrap().to_owned()
    };
    let first = uid();

    // A later version of the chart brings a later definition.
    let folder = tempfile::tempdir().unwrap();
    let file = "files/flashsales.flashsale.dev.yaml";
    let changes = [
        (file, "    - fs\n", "    - fs\n    - sale\n"),
        ("Chart.yaml", "version: 0.1.0", "version: 0.2.0"),
    ];
    let later = changed_chart(folder.path(), &changes);
    let upgrade = format!("upgrade shop {} --namespace sales", later.display());
    cluster.helm(&upgrade).unwrap();
    let definition = cluster.get(DEFINITION).unwrap();
    let names = &definition["spec"]["names"]["shortNames"];
    assert_eq!(*names, serde_json::json!(["fs", "sale"]));
    assert_eq!(uid(), first);

    let uninstalled = cluster.helm("uninstall shop --namespace sales").unwrap();
    assert!(
        uninstalled.contains("flashsales.flashsale.dev"),
        "{uninstalled}"
    );
    cluster
        .get("--namespace sales deployment shop-operator")
        .unwrap_err();
    cluster.get(DEFINITION).unwrap();
    assert_eq!(uid(), first);

    // The same release takes up what it has left.
    cluster.helm(INSTALL).unwrap();
    assert_eq!(uid(), first);

    // A release that does not install the definition any more leaves it, too.
    let without = "upgrade shop charts/flashsale --namespace sales --set crds.install=false";
    cluster.helm(without).unwrap();
    cluster.get(DEFINITION).unwrap();
    assert_eq!(uid(), first);
}

#[test]
fn a_definition_that_another_release_has_left_is_taken_over_when_it_is_asked_for() {
    let cluster = Cluster::start();
    cluster.helm(INSTALL).unwrap();
    let fair = "install fair charts/flashsale --namespace fair --create-namespace";

    // Beside the first one: its own namespace, and the definition as it is.
    let beside = format!("{fair} --set watchNamespace=fair,crds.install=false");
    let notes = cluster.helm(&beside).unwrap();
    assert!(notes.contains("looks after FlashSales in fair"), "{notes}");
    assert!(notes.contains("crds.install is false"), "{notes}");
    cluster.helm("uninstall fair --namespace fair").unwrap();

    cluster.helm("uninstall shop --namespace sales").unwrap();
    let refused = cluster.helm(fair).unwrap_err();
    assert!(refused.contains("flashsales.flashsale.dev"), "{refused}");
    assert!(refused.contains("meta.helm.sh/release-name"), "{refused}");
    cluster.helm(&format!("{fair} --take-ownership")).unwrap();
    let definition = cluster.get(DEFINITION).unwrap();
    let owner = &definition["metadata"]["annotations"]["meta.helm.sh/release-name"];
    assert_eq!(owner, "fair");
}

/// Whether the operator may do something, as the API server says.
fn may(cluster: &Cluster, what: &str, namespace: &str) -> Result<(), String> {
    let operator = "--as=system:serviceaccount:sales:shop-operator";
    cluster
        .kubectl(&format!(
            "auth can-i {what} --namespace {namespace} {operator}"
        ))
        .map(drop)
}

/// What it needs in each namespace that it looks after.
const NEEDED: [&str; 12] = [
    "watch flashsales.flashsale.dev",
    "patch flashsales.flashsale.dev",
    "patch flashsales.flashsale.dev --subresource=status",
    "update flashsales.flashsale.dev --subresource=finalizers",
    "get secrets",
    "list configmaps",
    "patch deployments.apps",
    "create services",
    "delete serviceaccounts",
    "delete horizontalpodautoscalers.autoscaling",
    "patch networkpolicies.networking.k8s.io",
    "create events.events.k8s.io",
];

/// What it must not be able to do anywhere.
const TOO_MUCH: [&str; 7] = [
    "create secrets",
    "patch secrets",
    "create pods",
    "create pods --subresource=exec",
    "create roles.rbac.authorization.k8s.io",
    "delete flashsales.flashsale.dev",
    "impersonate serviceaccounts",
];

#[test]
fn the_operator_has_its_rights_in_all_namespaces_and_none_beyond() {
    let cluster = Cluster::start();
    cluster.define_flash_sales();
    cluster.kubectl("create namespace fair").unwrap();
    cluster
        .helm(&format!("{INSTALL} --set crds.install=false"))
        .unwrap();
    for namespace in ["sales", "fair"] {
        for right in NEEDED {
            cluster.until(right, || may(&cluster, right, namespace));
        }
        for right in TOO_MUCH {
            may(&cluster, right, namespace).expect_err(right);
        }
    }
    // Two hold it in turns, in the namespace of the release alone.
    let renews = "update leases.coordination.k8s.io/shop-operator";
    cluster.until(renews, || may(&cluster, renews, "sales"));
    may(&cluster, "create leases.coordination.k8s.io", "sales").unwrap();
    may(&cluster, renews, "fair").unwrap_err();
    may(&cluster, "update leases.coordination.k8s.io/other", "sales").unwrap_err();
}

#[test]
fn with_one_namespace_the_operator_has_rights_there_alone() {
    let cluster = Cluster::start();
    cluster.define_flash_sales();
    cluster.kubectl("create namespace fair").unwrap();
    cluster
        .helm(&format!(
            "{INSTALL} --set watchNamespace=fair,crds.install=false"
        ))
        .unwrap();
    for right in NEEDED {
        cluster.until(right, || may(&cluster, right, "fair"));
        may(&cluster, right, "default").expect_err(right);
        may(&cluster, right, "sales").expect_err(right);
    }
    for right in TOO_MUCH {
        may(&cluster, right, "fair").expect_err(right);
    }
    let renews = "update leases.coordination.k8s.io/shop-operator";
    may(&cluster, renews, "sales").unwrap();
    may(&cluster, renews, "fair").unwrap_err();
}
