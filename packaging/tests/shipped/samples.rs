//! The samples, and the FlashSale of `helm test`: each can be carried out as it is.

use flashsale_operator::local::manifest::{self, GivenBackends};
use serde_json::Value;

use crate::support::{project, rendered::Rendered};

/// Reads a manifest as `flashsale-operator local` does: strictly, by the schema and beyond it.
fn read(yaml: &str) -> Result<manifest::Manifest, String> {
    let given = GivenBackends::at(
        "redis://127.0.0.1:7000",
        "postgres://postgres@127.0.0.1/flashsale",
    );
    manifest::read(yaml.as_bytes(), given).map_err(|error| error.to_string())
}

#[test]
fn every_sample_can_be_carried_out() {
    let samples = project::files("k8s/samples");
    assert!(samples.len() >= 5, "{samples:?}");
    let mut names = Vec::new();
    for sample in &samples {
        let read = read(&project::text(sample)).unwrap_or_else(|error| panic!("{sample}: {error}"));
        names.push(read.settings.name.to_string());
    }
    names.sort();
    names.dedup();
    assert_eq!(
        names.len(),
        samples.len(),
        "all can be applied beside each other"
    );
}

#[test]
fn a_sample_with_a_fault_would_be_noticed() {
    let sample = project::text("k8s/samples/hourly.yaml");
    let refused = |from: &str, to: &str| {
        assert!(sample.contains(from));
        read(&sample.replace(from, to)).err().expect(to)
    };
    assert!(refused("perUser: 10", "perUsr: 10").contains("perUsr"));
    assert!(refused("total: 10000", "total: 10001").contains("spec.limits.total"));
    assert!(refused("duration: 1h", "duration: 2h").contains("spec.duration"));
}

/// The names of all fields below a schema, but for those that Kubernetes defines.
fn fields(schema: &Value, names: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        names.push(name.clone());
        if !["resources", "tolerations"].contains(&name.as_str()) {
            fields(field, names);
        }
    }
}

#[test]
fn the_hourly_sample_shows_every_field() {
    let definition = project::text("crds/flashsales.flashsale.dev.yaml");
    let definition = project::documents(&definition).remove(0);
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut names = Vec::new();
    fields(&schema["properties"]["spec"], &mut names);
    assert!(names.len() > 40, "{names:?}");
    let sample = project::text("k8s/samples/hourly.yaml");
    for name in names {
        // Those that exclude each other are shown in comments.
        assert!(sample.contains(&format!("{name}:")), "{name}");
    }
}

#[test]
fn the_sale_of_the_helm_test_can_be_carried_out_at_any_time() {
    let chart = Rendered::with(&["test.redisSecret.name=a", "test.postgresSecret.key=b"]);
    let sale = chart.one("FlashSale");
    let yaml = serde_yaml_ng::to_string(sale).unwrap();
    let manifest = read(&yaml).unwrap();
    let secrets = (&manifest.settings.redis, &manifest.settings.postgres);
    assert_eq!((&*secrets.0.name, &*secrets.0.key), ("a", "url"));
    assert_eq!(
        (&*secrets.1.name, &*secrets.1.key),
        ("flashsale-postgres", "b")
    );
    assert_eq!(sale["spec"]["deletionPolicy"], "Delete");
    assert_eq!(sale["spec"]["schedule"], "* * * * *");
    // Hooks are rendered when the release is installed, and may run long after it.
    assert_eq!(
        chart.text,
        Rendered::with(&["test.redisSecret.name=a", "test.postgresSecret.key=b"]).text
    );
}

#[test]
fn the_sale_of_the_helm_test_comes_before_the_purchase_and_goes_behind_it() {
    let chart = Rendered::with(&[]);
    let annotations = |kind| &chart.one(kind)["metadata"]["annotations"];
    let weight = |kind| -> i32 {
        let weight = &annotations(kind)["helm.sh/hook-weight"];
        weight.as_str().unwrap().parse().unwrap()
    };
    assert!(weight("FlashSale") < weight("Pod"));
    for kind in ["FlashSale", "Pod"] {
        assert_eq!(annotations(kind)["helm.sh/hook"], "test");
        let policy = &annotations(kind)["helm.sh/hook-delete-policy"];
        assert!(policy.as_str().unwrap().contains("before-hook-creation"));
    }
    let goes = |kind| {
        let policy = &annotations(kind)["helm.sh/hook-delete-policy"];
        policy.as_str().unwrap().contains("hook-succeeded")
    };
    // The pod stays, so that its log can be read.
    assert_eq!((goes("FlashSale"), goes("Pod")), (true, false));
    // Helm looks for the log of a pod under the name of each of them.
    let name = |kind| &chart.one(kind)["metadata"]["name"];
    assert_eq!(name("FlashSale"), name("Pod"));
    // Tilt installs everything but what lies in a folder tests/.
    let folder = project::files("charts/flashsale/templates/tests");
    assert_eq!(folder.len(), 2, "{folder:?}");
    for file in folder {
        assert!(
            project::text(&file).contains("helm.sh/hook: test"),
            "{file}"
        );
    }
}
