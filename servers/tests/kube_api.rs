//! The API of a real Kubernetes comes up, knows FlashSales, and goes without a trace.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{path::Path, process::Command};

use flashsale_servers::KubeApi;

const DEFINITION: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crds/flashsales.flashsale.dev.yaml"
);

/// What a call printed: its result, or what is wrong.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

fn apply(kubernetes: &KubeApi, manifest: &str) -> Result<String, String> {
    let file = kubernetes.kubeconfig().with_file_name("manifest.yaml");
    std::fs::write(&file, manifest).unwrap();
    run(kubernetes.kubectl().args(["apply", "-f"]).arg(file))
}

fn flash_sale(more: &str) -> String {
    format!(
        "apiVersion: flashsale.dev/v1alpha1
kind: FlashSale
metadata: {{name: shop}}
spec:
  schedule: 0 * * * *
  catalog: {{generate: {{count: 100}}}}
  redis: {{secretKeyRef: {{name: r, key: url}}}}
  postgres: {{secretKeyRef: {{name: p, key: url}}}}
{more}
"
    )
}

/// Lines of a spec that the definition refuses, and the field that the refusal names.
const WRONG: [(&str, &str); 8] = [
    (
        "  startAt: \"2027-01-01T08:00:00Z\"",
        "exactly one of schedule and startAt",
    ),
    ("  duration: 0s", "spec.duration"),
    (
        "  limits: {perUser: 3, perCheckout: 4}",
        "spec.limits.perCheckout",
    ),
    ("  limits: {total: 101}", "spec.limits.total"),
    (
        "  api: {replicas: {idle: 3, sale: 2}}",
        "spec.api.replicas.idle",
    ),
    (
        "  api: {autoscaling: {maxReplicas: 5}}",
        "spec.api.autoscaling.maxReplicas",
    ),
    ("  colour: red", "spec.colour"),
    ("  suspend: perhaps", "spec.suspend"),
];

#[test]
fn it_takes_the_definition_refuses_wrong_flash_sales_with_the_field_and_survives_its_end() {
    let mut kubernetes = KubeApi::start().unwrap();
    let folder = kubernetes.kubeconfig().parent().unwrap().to_owned();

    run(kubernetes.kubectl().args(["apply", "-f", DEFINITION])).unwrap();
    run(kubernetes.kubectl().args([
        "wait",
        "--for=condition=Established",
        "--timeout=20s",
        "crd/flashsales.flashsale.dev",
    ]))
    .unwrap();

    for (more, field) in WRONG {
        let refused = apply(&kubernetes, &flash_sale(more)).unwrap_err();
        assert!(refused.contains(field), "{more}: {refused}");
    }
    apply(&kubernetes, &flash_sale("")).unwrap();

    let explained = run(kubernetes
        .kubectl()
        .args(["explain", "flashsale.spec.duration"]));
    let explained = explained.unwrap();
    assert!(explained.contains("Default: 1h."), "{explained}");

    // What it was told is in etcd, and somebody else may do only what a rule allows.
    kubernetes.kill_api_server();
    assert!(run(kubernetes.kubectl().args(["get", "flashsales"])).is_err());
    kubernetes.restart_api_server().unwrap();
    let found = run(kubernetes.kubectl().args(["get", "fs", "-o", "name"])).unwrap();
    assert_eq!(found, "flashsale.flashsale.dev/shop\n");
    let stranger = kubernetes
        .kubeconfig_as("system:serviceaccount:x:y")
        .unwrap();
    let refused = run(kubernetes
        .kubectl()
        .arg("--kubeconfig")
        .arg(stranger)
        .args(["get", "fs"]));
    assert!(refused.unwrap_err().contains("forbidden"));

    drop(kubernetes);
    assert!(!Path::new(&folder).exists(), "its folder is left");
}
