//! The programs understand what the chart tells them: its flags are read by their own code.

use clap::{CommandFactory as _, Parser};
use flashsale_load::args::{Args, Instead};
use flashsale_operator::controller::RunSettings;
use flashsale_operator::resources::child_name;
use serde_json::{Value, json};

use crate::support::rendered::{Rendered, strings};

/// The part of `flashsale-operator` that the chart starts.
#[derive(Parser)]
enum Operator {
    Run(RunSettings),
}

/// Reads the command line of the operator's container; a variable counts as the flag it is for.
fn settings(operator: &Value) -> RunSettings {
    assert_eq!(
        operator["command"],
        json!(["/usr/local/bin/flashsale-operator"])
    );
    let mut words = vec!["flashsale-operator".to_owned()];
    words.extend(strings(&operator["args"]).into_iter().map(str::to_owned));
    let command = Operator::command();
    let run = command.find_subcommand("run").unwrap();
    for variable in operator["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        // For the log, which is no setting of `run`.
        if name == "RUST_LOG" {
            continue;
        }
        let mut flags = run.get_arguments();
        let flag = flags
            .find(|flag| flag.get_env().is_some_and(|env| env == name))
            .unwrap_or_else(|| panic!("the operator reads no variable {name}"));
        let value = variable["value"].as_str().unwrap_or("from-its-field");
        words.push(format!("--{}={value}", flag.get_long().unwrap()));
    }
    let Operator::Run(settings) =
        Operator::try_parse_from(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    settings
}

#[test]
fn the_operator_understands_the_chart_as_it_comes() {
    let chart = Rendered::with(&[]);
    let settings = settings(chart.operator());
    assert_eq!(settings.namespace, "");
    assert_eq!(settings.api_image, chart.operator()["image"]);
    assert_eq!(settings.api_image_pull_policy, "IfNotPresent");
    let secrets = &settings.api_image_pull_secrets;
    assert!(secrets.iter().all(String::is_empty), "{secrets:?}");
    assert_eq!(settings.lease_namespace, "sales");
    assert_eq!(settings.lease_name, "shop-operator");
    assert_eq!(settings.lease_seconds, 15);
    assert_eq!(settings.identity, "from-its-field");
    assert_eq!(settings.listen.port(), 8080);
}

#[test]
fn the_operator_understands_every_value() {
    let chart = Rendered::by(&["--values", "packaging/tests/values/everything.yaml"]);
    let settings = settings(chart.operator());
    assert_eq!(settings.namespace, "fair");
    assert_eq!(settings.api_image, "registry.example.com/flashsale:latest");
    assert_eq!(settings.api_image_pull_policy, "Never");
    assert_eq!(settings.api_image_pull_secrets, ["registry"]);
    assert_eq!(settings.lease_seconds, 30);
    let resources = serde_json::to_value(&settings.api_resources).unwrap();
    let expected = json!({
        "requests": {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "1Gi"},
        // Helm keeps what is not said otherwise.
        "limits": {"cpu": "2.5", "memory": "512Mi"},
    });
    assert_eq!(resources, expected);
}

#[test]
fn each_operator_has_the_name_of_its_pod() {
    let chart = Rendered::with(&[]);
    let variables = chart.operator()["env"].as_array().unwrap();
    let name = variables.iter().find(|each| each["name"] == "POD_NAME");
    let field = &name.unwrap()["valueFrom"]["fieldRef"]["fieldPath"];
    assert_eq!(field, "metadata.name");
}

#[test]
fn the_test_buys_through_the_service_that_the_operator_makes() {
    for (value, namespace) in [
        ("watchNamespace=", "sales"),
        ("watchNamespace=fair", "fair"),
        ("test.namespace=fair", "fair"),
    ] {
        let chart = Rendered::with(&[value, "test.timeoutSeconds=77"]);
        let sale = &chart.one("FlashSale")["metadata"];
        assert_eq!(sale["namespace"], namespace);
        let service = child_name(sale["name"].as_str().unwrap());
        let container = &chart.one("Pod")["spec"]["containers"][0];
        assert_eq!(
            container["command"],
            json!(["/usr/local/bin/flashsale-load"])
        );
        let words = ["flashsale-load"]
            .into_iter()
            .chain(strings(&container["args"]));
        let Some(Instead::Buy(buy)) = Args::try_parse_from(words).unwrap().instead else {
            panic!("expected that it buys: {container}");
        };
        assert_eq!(buy.target.address(), format!("{service}.{namespace}:80"));
        assert_eq!(buy.within, 77);
    }
}

#[test]
fn every_name_of_a_release_gives_names_that_kubernetes_takes() {
    let longest = "a".repeat(53);
    for release in ["shop", "shop.eu-1", "s", &longest] {
        let chart = Rendered::of(release, &[]);
        let sale = chart.one("FlashSale")["metadata"]["name"].as_str().unwrap();
        // The Service has the plain name, which the pod of the test relies on.
        assert_eq!(child_name(sale), format!("{sale}-api"), "{release}");
        for kind in ["Service", "Deployment", "Pod"] {
            let name = chart.one(kind)["metadata"]["name"].as_str().unwrap();
            assert!(name.len() <= 63 && !name.contains('.'), "{release}: {name}");
        }
    }
}
