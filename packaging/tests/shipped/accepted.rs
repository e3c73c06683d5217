//! A real API server takes everything that is shipped, without a warning.

use crate::support::{cluster::Cluster, helm::kustomize, project, rendered::Rendered};

/// Enough of a kind that the chart may use and no cluster has by itself.
const SERVICE_MONITORS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  names: {kind: ServiceMonitor, plural: servicemonitors}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

#[test]
fn the_api_server_takes_the_chart_the_samples_and_the_stores() {
    let cluster = Cluster::start();
    for namespace in ["sales", "fair"] {
        let labels = ["enforce", "warn"].map(|mode| {
            let label = "pod-security.kubernetes.io";
            format!("{label}/{mode}=restricted")
        });
        let create = format!("create namespace {namespace}");
        cluster.kubectl(&create).unwrap();
        // The strictest of the standards that Kubernetes has for pods.
        let label = format!("label namespace {namespace} {}", labels.join(" "));
        cluster.kubectl(&label).unwrap();
    }
    cluster.hand_in("apply", SERVICE_MONITORS).unwrap();
    cluster.until("ServiceMonitors are served", || {
        cluster.get("servicemonitors")
    });
    cluster.define_flash_sales();
    let hand_in = |namespace: &str, manifest: &str| {
        let words = format!("apply --dry-run=server --validate=strict --namespace {namespace}");
        cluster.hand_in(&words, manifest)
    };
    let accepted = |what: &str, namespace: &str, manifest: &str| {
        let printed = hand_in(namespace, manifest);
        let printed = printed.unwrap_or_else(|error| panic!("{what}: {error}\n{manifest}"));
        assert!(printed.contains("(server dry run)"), "{what}: {printed}");
        assert!(!printed.contains("Warning"), "{what}: {printed}");
    };
    for values in project::files("packaging/tests/values") {
        for object in Rendered::by(&["--values", &values]).objects {
            let namespace = object["metadata"]["namespace"].as_str();
            accepted(&values, namespace.unwrap_or("sales"), &object.to_string());
        }
    }
    for sample in project::files("k8s/samples") {
        let manifest = project::text(&sample);
        let default = manifest.contains("namespace: default");
        accepted(
            &sample,
            if default { "default" } else { "sales" },
            &manifest,
        );
    }
    accepted("k8s/dev", "default", &kustomize("k8s/dev").unwrap());

    let wrong = project::text("k8s/samples/hourly.yaml").replace("perUser", "perUsr");
    let refused = hand_in("sales", &wrong).unwrap_err();
    assert!(refused.contains("perUsr"), "{refused}");
}
