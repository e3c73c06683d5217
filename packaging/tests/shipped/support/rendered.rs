//! The objects that the chart makes.

use serde_json::Value;

use super::{helm, project};

/// What the chart renders to: its text, and the objects in it.
pub struct Rendered {
    pub text: String,
    pub objects: Vec<Value>,
}

impl Rendered {
    /// A release `shop` with these values, as `--set` takes them.
    pub fn with(values: &[&str]) -> Self {
        let flags: Vec<_> = values.iter().flat_map(|value| ["--set", value]).collect();
        Self::by(&flags)
    }

    /// With these flags of `helm template`.
    pub fn by(flags: &[&str]) -> Self {
        Self::of("shop", flags)
    }

    /// A release in the namespace `sales`.
    pub fn of(release: &str, flags: &[&str]) -> Self {
        let flags = [&["--namespace", "sales"], flags].concat();
        let text = helm::template(release, &flags);
        let text = text.unwrap_or_else(|error| panic!("{flags:?}: {error}"));
        let objects = project::documents(&text);
        Self { text, objects }
    }

    pub fn kinds(&self) -> Vec<&str> {
        self.objects.iter().map(kind).collect()
    }

    /// All objects of a kind.
    pub fn all(&self, expected: &str) -> Vec<&Value> {
        let objects = self.objects.iter();
        objects.filter(|object| kind(object) == expected).collect()
    }

    /// The one object of a kind.
    pub fn one(&self, expected: &str) -> &Value {
        match self.all(expected)[..] {
            [object] => object,
            ref other => panic!("expected one {expected}, found {}", other.len()),
        }
    }

    /// The object of a kind with this name.
    pub fn named(&self, kind: &str, name: &str) -> &Value {
        let found = self.all(kind);
        let named = found
            .into_iter()
            .find(|object| object["metadata"]["name"] == name);
        named.unwrap_or_else(|| panic!("expected {kind} {name}, found none"))
    }

    /// Every pod that the chart starts, with the kind of what starts it.
    pub fn pods(&self) -> Vec<(&str, &Value)> {
        let pod = |object| match kind(object) {
            "Pod" => Some(("Pod", &object["spec"])),
            "Deployment" => Some(("Deployment", &object["spec"]["template"]["spec"])),
            _ => None,
        };
        self.objects.iter().filter_map(pod).collect()
    }

    /// The operator's container.
    pub fn operator(&self) -> &Value {
        &self.one("Deployment")["spec"]["template"]["spec"]["containers"][0]
    }
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().expect("every object has a kind")
}

/// The strings of a list.
pub fn strings(list: &Value) -> Vec<&str> {
    let list = list.as_array().expect("a list");
    list.iter()
        .map(|item| item.as_str().expect("a string"))
        .collect()
}
