//! What is made, whole, as files to read. After an intended change
//! `FLASHSALE_UPDATE_SNAPSHOTS=1 cargo test -p flashsale-operator snapshots` writes them again;
//! their difference in git shows what changes in a user's cluster.

use std::path::PathBuf;

use super::*;

/// Compares with `snapshots/<name>.yaml`, or writes it.
fn check(name: &str, inputs: &Inputs<'_>) {
    let made = build(inputs);
    let objects = [
        Some(serde_yaml_ng::to_string(&made.service_account)),
        Some(serde_yaml_ng::to_string(&made.deployment)),
        Some(serde_yaml_ng::to_string(&made.service)),
        Some(serde_yaml_ng::to_string(&made.disruption_budget)),
        Some(serde_yaml_ng::to_string(&made.network_policy)),
        made.autoscaler.as_ref().map(serde_yaml_ng::to_string),
        made.ingress.as_ref().map(serde_yaml_ng::to_string),
        made.service_monitor.as_ref().map(serde_yaml_ng::to_string),
    ];
    let objects: Vec<_> = objects.into_iter().flatten().map(Result::unwrap).collect();
    let made = objects.join("---\n");

    let folder = [env!("CARGO_MANIFEST_DIR"), "src", "resources", "snapshots"];
    let file = folder
        .iter()
        .collect::<PathBuf>()
        .join(format!("{name}.yaml"));
    if std::env::var_os("FLASHSALE_UPDATE_SNAPSHOTS").is_some_and(|value| value == "1") {
        std::fs::write(&file, made).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    let pairs = expected.lines().zip(made.lines());
    let same = pairs
        .take_while(|(expected, made)| expected == made)
        .count();
    assert!(
        expected == made,
        "{name}.yaml differs from what is made, from line {} on: expected `{}`, made `{}`; if \
         that is intended, run with FLASHSALE_UPDATE_SNAPSHOTS=1 and commit the file",
        same + 1,
        expected.lines().nth(same).unwrap_or("the end"),
        made.lines().nth(same).unwrap_or("the end"),
    );
}

#[test]
fn a_short_manifest() {
    let (flash_sale, defaults) = (flash_sale("shop", json!({})), defaults());
    check("short", &inputs(&flash_sale, &defaults));
}

#[test]
fn a_manifest_with_everything() {
    let flash_sale = flash_sale(
        "black.friday",
        json!({
            "replicas": {"idle": 1, "sale": 4},
            "resources": {
                "requests": {"cpu": "1", "memory": "256Mi"},
                "limits": {"cpu": "1500m", "memory": "1Gi"},
            },
            "service": {
                "type": "LoadBalancer",
                "port": 8000,
                "annotations": {"example.com/balancer": "internal"},
            },
            "ingress": {
                "host": "shop.example.com",
                "className": "nginx",
                "tlsSecretName": "shop-tls",
                "annotations": {"example.com/rate": "none"},
            },
            "podTemplate": {
                "labels": {"team": "sales"},
                "annotations": {"example.com/note": "kept"},
                "nodeSelector": {"pool": "sales"},
                "tolerations": [{"key": "sales", "operator": "Exists", "effect": "NoSchedule"}],
                "priorityClassName": "high",
            },
        }),
    );
    let defaults = PodDefaults {
        image: "registry.example.com/flashsale:1.2.3".to_owned(),
        image_pull_secrets: vec!["registry".to_owned()],
        ..defaults()
    };
    let inputs = Inputs {
        replicas: 4,
        ..inputs(&flash_sale, &defaults)
    };
    check("everything", &inputs);
}

#[test]
fn an_autoscaled_manifest() {
    let api = json!({"autoscaling": {"maxReplicas": 30, "targetCPUUtilizationPercentage": 70}});
    let (flash_sale, defaults) = (flash_sale("shop", api), defaults());
    check("autoscaled", &inputs(&flash_sale, &defaults));
}
