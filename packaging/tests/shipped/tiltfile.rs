//! The Tiltfile, evaluated by the interpreter that Tilt has in it, with Tilt's functions replaced by
//! some that note how they are called (`tilt.star`).
//!
//! Looked at is: that it evaluates; that what it names is there (files, objects, resources, ports,
//! flags); that things come up in order. Tilt is not run: whether it does as it is told is not
//! looked at.

use std::process::Command;

use clap::Parser as _;
use flashsale_load::args::Args;
use flashsale_operator::local::manifest::{self, GivenBackends};
use flashsale_operator::resources::child_name;
use flashsale_servers::go_program;
use serde_json::{Map, Value, json};

use crate::support::{
    helm::{kustomize, template, text_of},
    project,
    rendered::{Rendered, strings},
};

/// What the Tiltfile has called, in order.
struct Tilt {
    calls: Vec<Value>,
}

impl Tilt {
    fn up() -> Self {
        Self::evaluate(&project::text("Tiltfile")).unwrap_or_else(|error| panic!("{error}"))
    }

    fn evaluate(tiltfile: &str) -> Result<Self, String> {
        let samples = project::files("k8s/samples");
        let read = |path: String| {
            let first = project::documents(&project::text(&path)).remove(0);
            (path, first)
        };
        let files = Value::Object(samples.into_iter().map(read).collect::<Map<_, _>>());
        // The text of a string in JSON is one in Starlark, too.
        let files = Value::String(files.to_string());
        let builtins = include_str!("tilt.star");
        let program = format!(
            "FILES = json.decode({files})\n{builtins}\n{tiltfile}\nprint(json.encode(calls))\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("Tiltfile");
        std::fs::write(&file, program).unwrap();
        let starlark = go_program("starlark").unwrap_or_else(|error| panic!("{error}"));
        let output = Command::new(starlark).arg(&file).output().unwrap();
        // It prints to standard error.
        let printed = String::from_utf8(output.stderr.clone()).unwrap();
        text_of(output)?;
        let calls = serde_json::from_str(&printed).map_err(|error| format!("{error}: {printed}"));
        Ok(Self { calls: calls? })
    }

    fn all(&self, function: &str) -> Vec<&Value> {
        let calls = self.calls.iter();
        calls.filter(|call| call["call"] == function).collect()
    }

    fn one(&self, function: &str, name: &str) -> &Value {
        let found = self.all(function);
        let mut named = found.into_iter().filter(|call| call["name"] == name);
        named
            .next()
            .unwrap_or_else(|| panic!("no {function} {name}"))
    }

    /// What is handed to Kubernetes, from each source, in order.
    fn objects(&self) -> Vec<Vec<Value>> {
        let objects = |call: &&Value| {
            let yaml = &call["yaml"];
            if let Some(folder) = yaml["kustomize"].as_str() {
                return project::documents(&kustomize(folder).unwrap());
            }
            if yaml["object"].is_object() {
                return vec![yaml["object"].clone()];
            }
            assert_eq!(yaml["helm"], "charts/flashsale");
            let namespace = yaml["namespace"].as_str().unwrap();
            let mut flags = vec!["--namespace", namespace];
            for set in strings(&yaml["set"]) {
                flags.extend(["--set", set]);
            }
            let text = template(yaml["name"].as_str().unwrap(), &flags).unwrap();
            // As Tilt does: what lies in a folder tests/ is left out.
            let sources = text.split("---\n").filter(|part| !part.contains("/tests/"));
            sources.flat_map(project::documents).collect()
        };
        self.all("k8s_yaml").iter().map(objects).collect()
    }

    /// The names of everything that comes up by itself, in an order that its dependencies allow.
    fn order(&self) -> Vec<&str> {
        let resources = ["k8s_resource", "local_resource"];
        let mut waiting: Vec<_> = resources.iter().flat_map(|each| self.all(each)).collect();
        let mut order = Vec::new();
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|resource| {
                let ready = strings(&resource["resource_deps"])
                    .iter()
                    .all(|name| order.contains(name));
                if ready {
                    order.push(resource["name"].as_str().unwrap());
                }
                !ready
            });
            assert!(waiting.len() < before, "these wait for ever: {waiting:?}");
        }
        order
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

#[test]
fn stores_definition_operator_and_sample_come_up_in_this_order() {
    let tilt = Tilt::up();
    let order = tilt.order();
    let place = |name| order.iter().position(|each| *each == name).expect(name);
    for (earlier, later) in [
        ("flashsale-redis", "flashsale-redis-join"),
        ("flashsale-redis-join", "flashsale-operator"),
        ("flashsale-postgres", "flashsale-operator"),
        ("definition", "flashsale-operator"),
        ("flashsale-operator", "hourly"),
        ("hourly", "load"),
    ] {
        assert!(
            place(earlier) < place(later),
            "{earlier}, {later}: {order:?}"
        );
    }
    // The order above could be one of many; what is stated is not.
    let waits = |name| strings(&tilt.one("k8s_resource", name)["resource_deps"]);
    assert!(waits("hourly").contains(&"flashsale-operator"));
    for earlier in ["definition", "flashsale-redis-join", "flashsale-postgres"] {
        assert!(waits("flashsale-operator").contains(&earlier), "{earlier}");
    }
}

#[test]
fn every_resource_is_of_something_that_is_installed() {
    let tilt = Tilt::up();
    let objects: Vec<_> = tilt.objects().into_iter().flatten().collect();
    let kinds: Vec<_> = tilt
        .all("k8s_kind")
        .iter()
        .map(|call| &call["kind"])
        .collect();
    let is_workload = |object: &Value| {
        let known = ["Deployment", "StatefulSet", "DaemonSet", "Job", "Pod"];
        known.iter().any(|kind| object["kind"] == *kind) || kinds.contains(&&object["kind"])
    };
    let workloads: Vec<_> = objects.iter().filter(|each| is_workload(each)).collect();
    let mut taken = Vec::new();
    for resource in tilt.all("k8s_resource") {
        let workload = resource["workload"].as_str().unwrap();
        let is_there = workloads.iter().any(|object| name(object) == workload);
        assert!(workload.is_empty() || is_there, "no workload {workload}");
        for selector in strings(&resource["objects"]) {
            let (of, kind) = selector.split_once(':').unwrap();
            let chosen: Vec<_> = objects
                .iter()
                .filter(|object| {
                    let its = object["kind"].as_str().unwrap();
                    name(object) == of && its.eq_ignore_ascii_case(kind)
                })
                .collect();
            assert_eq!(chosen.len(), 1, "{selector} names one object");
            taken.push(chosen[0]);
        }
    }
    // What belongs to no resource comes up at any time. Services go with their pods.
    for object in &tilt.objects()[1] {
        let placed = is_workload(object) || object["kind"] == "Service" || taken.contains(&object);
        assert!(placed, "{} {} has no place", object["kind"], name(object));
    }
}

#[test]
fn the_image_that_it_builds_is_the_one_that_the_chart_runs() {
    let tilt = Tilt::up();
    let [build] = tilt.all("docker_build")[..] else {
        panic!("expected one image");
    };
    let root = project::root();
    assert!(root.join(build["context"].as_str().unwrap()).is_dir());
    assert!(root.join(build["dockerfile"].as_str().unwrap()).is_file());
    let chart = Rendered::with(&[]);
    let image = chart.operator()["image"].as_str().unwrap();
    let repository = image.rsplit_once(':').unwrap().0;
    assert_eq!(build["ref"], repository);
    // The operator hands the image on to API pods; it has it from a variable.
    let variables = chart.operator()["env"].as_array().unwrap();
    let handed_on = json!({"name": "FLASHSALE_API_IMAGE", "value": image});
    assert!(variables.contains(&handed_on));
    assert_eq!(build["match_in_env_vars"], true);
}

#[test]
fn the_sample_can_be_carried_out_and_its_stores_are_there() {
    let tilt = Tilt::up();
    let objects = tilt.objects();
    let [stores, chart, sample] = &objects[..] else {
        panic!("expected three sources, found {}", objects.len());
    };
    let sample = &sample[0];
    let given = GivenBackends::at(
        "redis://127.0.0.1:7000",
        "postgres://postgres@127.0.0.1/flashsale",
    );
    let yaml = serde_yaml_ng::to_string(sample).unwrap();
    let read = manifest::read(yaml.as_bytes(), given).unwrap_or_else(|error| panic!("{error}"));
    // A developer does not wait for an hour.
    assert!(read.settings.duration.as_mins() <= 10);
    for secret in [&read.settings.redis, &read.settings.postgres] {
        let stored = stores
            .iter()
            .find(|object| object["kind"] == "Secret" && name(object) == secret.name);
        let stored = stored.unwrap_or_else(|| panic!("no Secret {}", secret.name));
        let fields = [&stored["stringData"], &stored["data"]];
        assert!(fields.iter().any(|field| field[&secret.key].is_string()));
        // The sample names no namespace; it lands in the one that the stores are in.
        assert_eq!(stored["metadata"]["namespace"], "default");
    }
    for object in chart {
        let namespace = &object["metadata"]["namespace"];
        assert!(namespace.is_null() || namespace == "default");
    }
}

#[test]
fn the_api_is_reached_by_a_port_and_the_button_sends_load_there() {
    let tilt = Tilt::up();
    let sample = tilt.one("k8s_resource", "hourly");
    let pods = &sample["extra_pod_selectors"][0]["app.kubernetes.io/instance"];
    assert_eq!(*pods, child_name("hourly"));
    let port = &sample["port_forwards"][0];
    assert_eq!(port["container_port"], 8080, "where API pods listen");

    let button = tilt.one("local_resource", "load");
    assert_eq!(button["auto_init"], false, "nobody has pressed it yet");
    assert_eq!(button["trigger_mode"], "manual");
    let command = strings(&button["cmd"]);
    let (cargo, flags) = command.split_at(command.iter().position(|word| *word == "--").unwrap());
    assert_eq!(cargo, ["cargo", "run", "--release", "-p", "flashsale-load"]);
    let words = ["flashsale-load"].iter().chain(&flags[1..]);
    let args = Args::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
    let target = format!("localhost:{}", port["local_port"]);
    assert_eq!(args.target[0].address(), target);
}

#[test]
fn a_tiltfile_with_a_fault_would_be_noticed() {
    let text = project::text("Tiltfile");
    for (right, wrong, message) in [
        (
            "resource_deps=",
            "resource_dep=",
            "unexpected keyword argument",
        ),
        (
            "k8s/samples/hourly.yaml",
            "k8s/samples/daily.yaml",
            "no such file",
        ),
        ("docker_build(", "docker_built(", "undefined: docker_built"),
    ] {
        assert!(text.contains(right), "{right}");
        let error = Tilt::evaluate(&text.replacen(right, wrong, 1)).err();
        assert!(
            error.as_ref().is_some_and(|e| e.contains(message)),
            "{error:?}"
        );
    }
}
