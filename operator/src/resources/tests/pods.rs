//! The settings of the pods, and what they may do.

use super::*;

/// The template of the pods for these fields of `spec.api`.
fn template(api: Value) -> Value {
    sent_for("shop", api)["Deployment"]["spec"]["template"].clone()
}

fn container(template: &Value) -> &Value {
    let containers = template["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    &containers[0]
}

/// A variable of the environment: its value, or where it comes from.
fn variable(template: &Value, name: &str) -> Value {
    let variables = container(template)["env"].as_array().unwrap();
    let mut found = variables.iter().filter(|variable| variable["name"] == name);
    let Some(variable) = found.next() else {
        return Value::Null;
    };
    assert!(found.next().is_none(), "{name} twice");
    match variable.get("value") {
        Some(value) => value.clone(),
        None => variable["valueFrom"].clone(),
    }
}

#[test]
fn labels_of_the_user_never_hide_the_pods_from_their_selectors() {
    let template = template(json!({"podTemplate": {
        "labels": {"app.kubernetes.io/name": "mine", "app.kubernetes.io/instance": "mine", "team": "sales"},
        "annotations": {SECRETS_REVISION: "mine", "example.com/note": "kept"},
    }}));
    let labels = &template["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/name"], "flashsale-api");
    assert_eq!(labels["app.kubernetes.io/instance"], "shop-api");
    assert_eq!(labels["team"], "sales");
    let annotations = &template["metadata"]["annotations"];
    assert_eq!(annotations[SECRETS_REVISION], "stores/17");
    assert_eq!(annotations["example.com/note"], "kept");
}

#[test]
fn urls_come_from_the_secrets_by_reference() {
    let template = template(json!({}));
    assert_eq!(
        variable(&template, "FLASHSALE_REDIS_URL"),
        json!({"secretKeyRef": {"name": "stores", "key": "redis"}})
    );
    assert_eq!(
        variable(&template, "FLASHSALE_POSTGRES_URL"),
        json!({"secretKeyRef": {"name": "stores", "key": "postgres"}})
    );
    assert_eq!(variable(&template, "FLASHSALE_NAME"), "market.shop");
}

#[test]
fn certificates_beside_the_urls_are_files_that_may_be_missing() {
    let template = template(json!({}));
    for backend in ["redis", "postgres"] {
        let option = format!("FLASHSALE_{}_CERTIFICATES", backend.to_uppercase());
        let name = format!("{backend}-certificates");
        let mounts = container(&template)["volumeMounts"].as_array().unwrap();
        let mount = mounts.iter().find(|mount| mount["name"] == name).unwrap();
        assert_eq!(mount["mountPath"], variable(&template, &option));
        assert_eq!(mount["readOnly"], true);
        let volumes = template["spec"]["volumes"].as_array().unwrap();
        let volume = volumes
            .iter()
            .find(|volume| volume["name"] == name)
            .unwrap();
        let item = |entry: &str| json!({"key": entry, "path": entry});
        assert_eq!(
            volume["secret"],
            json!({
                "secretName": "stores",
                "items": [item("ca.crt"), item("tls.crt"), item("tls.key")],
                "optional": true,
            })
        );
    }
}

#[test]
fn a_pod_has_time_to_end_without_losing_a_request() {
    let template = template(json!({}));
    let seconds = |name: &str| -> i64 {
        let value = variable(&template, name);
        value.as_str().unwrap().parse().unwrap()
    };
    let grace = template["spec"]["terminationGracePeriodSeconds"].as_i64();
    // After draining and answering an API process settles, for 15 seconds at most.
    let needed =
        seconds("FLASHSALE_DRAIN_SECONDS") + seconds("FLASHSALE_REQUEST_TIMEOUT_SECONDS") + 15;
    assert!(grace.unwrap() > needed, "{grace:?} for {needed}");
}

#[test]
fn a_process_has_as_many_threads_as_its_pod_has_cores() {
    let cases = [
        (
            json!({"limits": {"cpu": "1500m"}, "requests": {"cpu": "250m"}}),
            Some("limits.cpu"),
        ),
        (
            json!({"limits": {"memory": "1Gi"}, "requests": {"cpu": "250m"}}),
            Some("requests.cpu"),
        ),
        (json!({"limits": {"memory": "1Gi"}}), None),
        (json!({}), None),
    ];
    for (resources, expected) in cases {
        let template = template(json!({"resources": resources}));
        let threads = variable(&template, "FLASHSALE_WORKER_THREADS");
        // The kubelet divides by one core and rounds up.
        let expected = match expected {
            Some(resource) => {
                json!({"resourceFieldRef": {"containerName": "api", "resource": resource, "divisor": "1"}})
            }
            None => Value::Null,
        };
        assert_eq!(threads, expected, "{resources}");
        assert_eq!(container(&template)["name"], "api");
    }
}

#[test]
fn resources_are_those_of_the_flash_sale_else_those_of_the_operator() {
    let own = template(json!({"resources": {"requests": {"cpu": "2"}}}));
    assert_eq!(
        container(&own)["resources"],
        json!({"requests": {"cpu": "2"}})
    );
    let short = template(json!({}));
    assert_eq!(
        container(&short)["resources"]["limits"],
        json!({"memory": "512Mi"})
    );
}

/// By the Pod Security Standard `restricted`, and beyond it.
#[test]
fn a_pod_may_do_nothing_but_serve() {
    let template = template(json!({}));
    let spec = &template["spec"];
    assert_eq!(spec["automountServiceAccountToken"], false);
    assert_eq!(spec["enableServiceLinks"], false);
    assert_eq!(
        spec["securityContext"],
        json!({
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        })
    );
    assert_eq!(
        container(&template)["securityContext"],
        json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        })
    );
    for power in ["hostNetwork", "hostPID", "hostIPC"] {
        assert_eq!(spec.get(power), None, "{power}");
    }
    // A Secret is one of the kinds of volumes that `restricted` admits.
    let volumes = spec["volumes"].as_array().unwrap().iter();
    for volume in volumes {
        let fields: Vec<_> = volume.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["name", "secret"]);
    }
    let account = &sent_for("shop", json!({}))["ServiceAccount"];
    assert_eq!(account["automountServiceAccountToken"], false);
}

#[test]
fn only_readiness_depends_on_the_backends() {
    let template = template(json!({}));
    let container = container(&template);
    let path = |probe: &str| container[probe]["httpGet"]["path"].clone();
    assert_eq!(path("readinessProbe"), "/readyz");
    // A store that is away must not have the pods killed.
    assert_eq!(
        (path("livenessProbe"), path("startupProbe")),
        (json!("/livez"), json!("/livez"))
    );
    let patience = |probe: &str| {
        let number = |field: &str| container[probe][field].as_i64().unwrap();
        number("periodSeconds") * number("failureThreshold")
    };
    assert!(patience("livenessProbe") >= 60);
    assert!(patience("readinessProbe") <= 10);
}

#[test]
fn an_update_never_takes_a_pod_before_its_replacement_serves() {
    let made = sent_for("shop", json!({}));
    let spec = &made["Deployment"]["spec"];
    assert_eq!(
        spec["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}})
    );
    assert!(spec["minReadySeconds"].as_i64().unwrap() > 0);
}

#[test]
fn pods_go_where_they_may_and_lie_apart_from_each_other() {
    let template = template(json!({"podTemplate": {
        "nodeSelector": {"pool": "sales"},
        "tolerations": [{"key": "sales", "operator": "Exists", "effect": "NoSchedule"}],
        "priorityClassName": "high",
    }}));
    let spec = &template["spec"];
    assert_eq!(spec["nodeSelector"], json!({"pool": "sales"}));
    assert_eq!(spec["tolerations"][0]["key"], "sales");
    assert_eq!(spec["priorityClassName"], "high");
    let spread = spec["topologySpreadConstraints"].as_array().unwrap();
    let keys: Vec<_> = spread
        .iter()
        .map(|one| one["topologyKey"].as_str().unwrap())
        .collect();
    assert_eq!(
        keys,
        ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    );
    // A cluster of one node runs them all the same.
    assert!(
        spread
            .iter()
            .all(|one| one["whenUnsatisfiable"] == "ScheduleAnyway")
    );
}
