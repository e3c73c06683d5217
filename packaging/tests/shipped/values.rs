//! The values of the chart: printed, checked, and refused by name where they are misspelt.

use serde_json::Value;

use crate::support::{helm, project, rendered::Rendered};

fn values() -> Value {
    project::documents(&project::text("charts/flashsale/values.yaml")).remove(0)
}

fn schema() -> Value {
    serde_json::from_str(&project::text("charts/flashsale/values.schema.json")).unwrap()
}

/// What the schema says about the fields of an object; `None` for a value that has none of its
/// own, such as labels.
fn fields<'a>(schema: &'a Value, of: &'a Value) -> Option<&'a serde_json::Map<String, Value>> {
    let resolved = match of["$ref"].as_str() {
        Some(reference) => schema.pointer(&reference[1..]).expect(reference),
        None => of,
    };
    resolved["properties"].as_object()
}

#[test]
fn the_chart_has_no_fault_with_any_of_several_values() {
    let files = project::files("packaging/tests/values");
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let path = project::root().join(&file);
        let printed = helm::lint(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(printed.contains("1 chart(s) linted, 0 chart(s) failed"));
        assert!(!printed.contains("[WARNING]"), "{file}: {printed}");
        Rendered::by(&["--values", &file]);
    }
}

/// Every value that is set, with the path to it. An object without fields is a value.
fn leaves(schema: &Value, of: &Value, value: &Value, path: &str, each: &mut dyn FnMut(&str)) {
    let (Some(fields), Some(found)) = (fields(schema, of), value.as_object()) else {
        return each(path);
    };
    if found.is_empty() {
        return each(path);
    }
    for (name, value) in found {
        let path = format!("{path}.{name}");
        let field = fields
            .get(name)
            .unwrap_or_else(|| panic!("{path} is not in the schema"));
        // What Kubernetes defines needs no words of ours.
        if path.ends_with("resources") {
            each(&path);
        } else {
            leaves(schema, field, value, &path, each);
        }
    }
    for name in fields.keys() {
        // Helm sets this one itself, where the chart is a part of another.
        let known = found.contains_key(name) || name == "global";
        assert!(known, "{path}.{name} has no default in values.yaml");
    }
}

#[test]
fn every_value_has_a_default_a_comment_and_a_place_in_the_schema() {
    let (schema, text) = (schema(), project::text("charts/flashsale/values.yaml"));
    let lines: Vec<_> = text.lines().collect();
    let mut seen = 0;
    leaves(&schema, &schema, &values(), "", &mut |path| {
        seen += 1;
        let mut at = 0;
        for (depth, name) in path.split('.').skip(1).enumerate() {
            let key = format!("{}{name}:", "  ".repeat(depth));
            let found = lines[at..].iter().position(|line| line.starts_with(&key));
            at += found.unwrap_or_else(|| panic!("{path} is not found in values.yaml"));
        }
        let comment = lines[at - 1].trim_start();
        assert!(comment.starts_with("# "), "{path} has no comment");
    });
    assert!(seen > 25, "{seen}");
}

/// The same values with a letter more in the name of each one that the schema knows.
fn misspelt(schema: &Value, of: &Value, value: &Value, names: &mut Vec<String>) -> Value {
    let (Some(fields), Some(found)) = (fields(schema, of), value.as_object()) else {
        return value.clone();
    };
    let wrong = found.iter().flat_map(|(name, value)| {
        let inside = misspelt(schema, &fields[name], value, names);
        let wrong = format!("{name}Z");
        names.push(wrong.clone());
        [(name.clone(), inside), (wrong, value.clone())]
    });
    Value::Object(wrong.collect())
}

#[test]
fn every_misspelt_value_is_refused_with_its_name() {
    let schema = schema();
    let mut names = Vec::new();
    let wrong = misspelt(&schema, &schema, &values(), &mut names);
    assert!(names.len() > 40, "{names:?}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), wrong.to_string()).unwrap();
    let error = helm::template("shop", &["--values", file.path().to_str().unwrap()]).unwrap_err();
    for name in names {
        assert!(error.contains(&format!("'{name}'")), "{name}: {error}");
    }
}

#[test]
fn values_that_make_no_sense_are_refused_with_their_place() {
    for (value, place) in [
        ("replicas=-1", "/replicas"),
        ("replicas=two", "/replicas"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("image.repository=", "/image/repository"),
        ("image.tag=a b", "/image/tag"),
        ("imagePullSecrets[0]=registry", "/imagePullSecrets/0"),
        ("watchNamespace=Fair", "/watchNamespace"),
        (
            "leaderElection.leaseSeconds=1",
            "/leaderElection/leaseSeconds",
        ),
        ("crds.install=maybe", "/crds/install"),
        ("serviceMonitor.interval=often", "/serviceMonitor/interval"),
        ("tolerations[0].effect=Never", "/tolerations/0/effect"),
        ("test.redisSecret.key=a/b", "/test/redisSecret/key"),
        ("test.timeoutSeconds=0", "/test/timeoutSeconds"),
    ] {
        let error = helm::template("shop", &["--set", value]).expect_err(value);
        assert!(error.contains(&format!("at '{place}'")), "{value}: {error}");
    }
}
