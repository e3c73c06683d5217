//! The pods of the chart: the operators, and the one that buys for `helm test`.

use serde_json::{Value, json};

use crate::support::{project, rendered::Rendered};

#[test]
fn no_container_can_do_more_than_it_has_to() {
    let chart = Rendered::with(&[]);
    let pods = chart.pods();
    assert_eq!(pods.len(), 2);
    for (what, pod) in pods {
        let security = &pod["securityContext"];
        assert_eq!(security["runAsNonRoot"], true, "{what}");
        assert_eq!(security["runAsUser"], 65532, "{what}");
        assert_eq!(security["runAsGroup"], 65532, "{what}");
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(pod["enableServiceLinks"], false, "{what}");
        for part in [
            "hostNetwork",
            "hostPID",
            "hostIPC",
            "volumes",
            "initContainers",
        ] {
            assert!(pod[part].is_null(), "{what}: {part}");
        }
        for container in pod["containers"].as_array().unwrap() {
            let expected = json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            });
            assert_eq!(container["securityContext"], expected, "{what}");
            for part in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
                let resources = &container["resources"];
                assert!(resources.pointer(part).is_some(), "{what}: {part}");
            }
        }
    }
    // Only the operator talks to the API server, and nobody else gets its token.
    assert_eq!(
        chart.one("ServiceAccount")["automountServiceAccountToken"],
        false
    );
    assert_eq!(
        chart.one("Pod")["spec"]["automountServiceAccountToken"],
        false
    );
}

/// Everything that names an image: both pods, and what the operator gives API pods.
fn images(chart: &Rendered) -> Vec<&str> {
    let mut images: Vec<_> = chart
        .pods()
        .iter()
        .map(|(_, pod)| pod["containers"][0]["image"].as_str().unwrap())
        .collect();
    let variables = chart.operator()["env"].as_array().unwrap();
    let of_api = variables
        .iter()
        .find(|variable| variable["name"] == "FLASHSALE_API_IMAGE")
        .unwrap();
    images.push(of_api["value"].as_str().unwrap());
    images
}

#[test]
fn one_image_runs_everything_and_by_default_it_is_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!("localhost/flashsale:{version}");
    assert_eq!(images(&Rendered::with(&[])), [expected.as_str(); 3]);
    let chart = project::documents(&project::text("charts/flashsale/Chart.yaml")).remove(0);
    assert_eq!(chart["appVersion"], version);

    let other = Rendered::with(&["image.repository=r.example.com:5000/a/b", "image.tag=v2"]);
    assert_eq!(images(&other), ["r.example.com:5000/a/b:v2"; 3]);
}

#[test]
fn how_the_image_is_pulled_is_the_same_everywhere() {
    let chart = Rendered::by(&["--values", "packaging/tests/values/one-namespace.yaml"]);
    for (what, pod) in chart.pods() {
        let container = &pod["containers"][0];
        assert_eq!(container["imagePullPolicy"], "Always", "{what}");
        let secrets = json!([{"name": "registry"}, {"name": "mirror"}]);
        assert_eq!(pod["imagePullSecrets"], secrets, "{what}");
    }
    let args = &chart.operator()["args"];
    for expected in [
        "--api-image-pull-policy=Always",
        "--api-image-pull-secrets=registry,mirror",
    ] {
        let found = args.as_array().unwrap().contains(&json!(expected));
        assert!(found, "{expected}: {args}");
    }
}

#[test]
fn two_operators_run_apart_and_are_probed_where_they_listen() {
    let chart = Rendered::with(&[]);
    let deployment = &chart.one("Deployment")["spec"];
    assert_eq!(deployment["replicas"], 2);
    let pod = &deployment["template"]["spec"];
    let spread = pod["topologySpreadConstraints"].as_array().unwrap();
    let keys: Vec<_> = spread.iter().map(|each| &each["topologyKey"]).collect();
    assert_eq!(
        keys,
        ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    );
    for constraint in spread {
        assert_eq!(constraint["labelSelector"], deployment["selector"]);
        assert_eq!(constraint["whenUnsatisfiable"], "ScheduleAnyway");
    }

    let operator = chart.operator();
    let port = &operator["ports"][0];
    let listens = format!("--listen=0.0.0.0:{}", port["containerPort"]);
    assert!(
        operator["args"]
            .as_array()
            .unwrap()
            .contains(&json!(listens))
    );
    for (probe, path) in [
        ("startupProbe", "/livez"),
        ("livenessProbe", "/livez"),
        ("readinessProbe", "/readyz"),
    ] {
        let get = json!({"path": path, "port": port["name"]});
        assert_eq!(operator[probe]["httpGet"], get, "{probe}");
    }
}

#[test]
fn what_places_pods_is_passed_on() {
    let file = "packaging/tests/values/everything.yaml";
    let values = project::documents(&project::text(file)).remove(0);
    let chart = Rendered::by(&["--values", file]);
    let template = &chart.one("Deployment")["spec"]["template"];
    for part in [
        "nodeSelector",
        "tolerations",
        "affinity",
        "priorityClassName",
    ] {
        assert_eq!(template["spec"][part], values[part], "{part}");
    }
    let metadata = &template["metadata"];
    assert_eq!(metadata["annotations"], values["podAnnotations"]);
    assert_eq!(metadata["labels"]["example.com/cost"], "shop");
    assert_eq!(chart.operator()["resources"], values["resources"]);
    // A node that is kept for the shop is one for its test, too.
    let test = &chart.one("Pod")["spec"];
    for part in ["nodeSelector", "tolerations"] {
        assert_eq!(test[part], values[part], "{part}");
    }
    let log = json!({"name": "RUST_LOG", "value": values["logLevel"]});
    let variables: &Vec<Value> = chart.operator()["env"].as_array().unwrap();
    assert!(variables.contains(&log));
}
