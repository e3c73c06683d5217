//! The process as its pod starts it: the container that the operator builds from a FlashSale, with
//! the Secrets' values and files where the kubelet puts them.

use std::collections::BTreeMap;
use std::path::Path;

use flashsale_engine::Certificates;
use flashsale_operator::resources::{Inputs, PodDefaults, build};
use flashsale_servers::TestCertificates;
use serde_json::{Value, json};

use super::support::{FLASH_SALE, Stack, limits};

/// Secrets by name: their entries by key.
type Secrets = BTreeMap<&'static str, BTreeMap<String, Vec<u8>>>;

/// A Secret with the key `url`, and what a client needs for TLS.
fn secret(url: &str, certificates: &TestCertificates) -> BTreeMap<String, Vec<u8>> {
    let entry = |name: &str| (name.to_owned(), certificates.entry(name).unwrap());
    let mut entries: BTreeMap<_, _> = Certificates::ENTRIES.map(entry).into();
    entries.insert("url".to_owned(), url.as_bytes().to_vec());
    entries
}

/// The pod of the FlashSale, as the operator sends it.
fn pod() -> Value {
    let (namespace, name) = FLASH_SALE.split_once('.').unwrap();
    let flash_sale = serde_json::from_value(json!({
        "apiVersion": "flashsale.dev/v1alpha1",
        "kind": "FlashSale",
        "metadata": {"name": name, "namespace": namespace, "uid": "1"},
        "spec": {
            "schedule": "@hourly",
            "catalog": {"generate": {"count": 20}},
            "redis": {"secretKeyRef": {"name": "redis", "key": "url"}},
            "postgres": {"secretKeyRef": {"name": "postgres", "key": "url"}},
        },
    }));
    let resources = json!({"requests": {"cpu": "250m"}});
    let inputs = Inputs {
        flash_sale: &flash_sale.unwrap(),
        defaults: &PodDefaults {
            image: "localhost/flashsale:dev".to_owned(),
            image_pull_policy: "IfNotPresent".to_owned(),
            image_pull_secrets: Vec::new(),
            resources: serde_json::from_value(resources).unwrap(),
        },
        replicas: 1,
        revision: "1".to_owned(),
    };
    let deployment = serde_json::to_value(build(&inputs).deployment).unwrap();
    deployment["spec"]["template"]["spec"].clone()
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().unwrap().iter()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Writes the volumes of a pod under `root`, at the paths of its container's mounts.
fn mount(pod: &Value, secrets: &Secrets, root: &Path) {
    for mount in each(&pod["containers"][0]["volumeMounts"]) {
        let path = text(&mount["mountPath"]);
        let folder = root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(&folder).unwrap();
        let mut volumes = each(&pod["volumes"]);
        let volume = volumes.find(|volume| volume["name"] == mount["name"]);
        let source = &volume.unwrap()["secret"];
        let secret = &secrets[source["secretName"].as_str().unwrap()];
        for item in each(&source["items"]) {
            if let Some(value) = secret.get(item["key"].as_str().unwrap()) {
                std::fs::write(folder.join(text(&item["path"])), value).unwrap();
            }
        }
    }
}

/// The environment of the pod's container; paths of mounts lead to `root`.
fn environment(pod: &Value, secrets: &Secrets, root: &Path) -> Vec<(String, String)> {
    let container = &pod["containers"][0];
    let value = |variable: &Value| {
        let source = &variable["valueFrom"];
        match (&variable["value"], &source["secretKeyRef"]) {
            (Value::String(value), _) => {
                let mut mounts = each(&container["volumeMounts"]);
                match mounts.any(|mount| mount["mountPath"] == **value) {
                    true => root
                        .join(value.trim_start_matches('/'))
                        .display()
                        .to_string(),
                    false => value.clone(),
                }
            }
            (_, Value::Object(key)) => {
                let secret = &secrets[key["name"].as_str().unwrap()];
                String::from_utf8(secret[key["key"].as_str().unwrap()].clone()).unwrap()
            }
            // A quarter of a core, rounded up by the kubelet.
            _ => {
                assert_eq!(source["resourceFieldRef"]["resource"], "requests.cpu");
                "1".to_owned()
            }
        }
    };
    let pair = |variable: &Value| (text(&variable["name"]), value(variable));
    each(&container["env"]).map(pair).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_of_a_flash_sale_sells_over_tls_with_the_certificates_of_its_secrets() {
    let mut stack = Stack::start_with_tls(20, limits(20)).await;
    let redis = secret(
        &stack.redis.tls_url(""),
        stack.redis.certificates().unwrap(),
    );
    let of_postgres = stack.postgres.certificates().unwrap();
    let postgres = secret(&stack.postgres.url(), of_postgres);
    let secrets = Secrets::from([("redis", redis), ("postgres", postgres)]);
    let root = tempfile::tempdir().unwrap();
    let pod = pod();
    mount(&pod, &secrets, root.path());
    let variables = environment(&pod, &secrets, root.path());

    let i = stack.start_api_with_variables(&variables).await;
    let code = stack.fill(i, "ann", &[0, 1]).await;
    let answer = stack.purchase(i, &code).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let sessions = "SELECT count(*) FILTER (WHERE client_dn = '/CN=flashsale') > 0, \
                    count(*) FILTER (WHERE NOT ssl) \
                    FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                    WHERE application_name = 'flashsale'";
    assert_eq!(stack.postgres.query(sessions).unwrap(), "t|0");
}
