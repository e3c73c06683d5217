//! The documented responses of the OpenAPI document. The client of the tests checks each response
//! against them.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use flashsale_api::{Readiness, openapi_service};
use flashsale_engine::Ambient;
use serde_json::Value;

/// A path of the document, a method in lower case, and a status.
pub type Documented = (String, String, u16);

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let ambient = Ambient::system().unwrap();
    let service = openapi_service(Arc::new(Readiness::new(ambient)));
    serde_json::from_str(&service.spec()).unwrap()
});

/// All documented responses.
pub fn all() -> BTreeSet<Documented> {
    let operations = DOCUMENT["paths"].as_object().unwrap().iter();
    let operations = operations.flat_map(|(path, operations)| {
        let operations = operations.as_object().unwrap().iter();
        operations.map(move |(method, operation)| (path, method, &operation["responses"]))
    });
    let all = operations.flat_map(|(path, method, responses)| {
        let statuses = responses.as_object().unwrap().keys();
        statuses.map(|status| (path.clone(), method.clone(), status.parse().unwrap()))
    });
    all.collect()
}

/// The documented responses of a request; none where the document does not have the path. A method
/// that the path does not take stands for all methods of the path.
#[track_caller]
pub fn responses_of(method: &str, path: &str, status: u16) -> Vec<Documented> {
    let Some((template, operations)) = template_of(path) else {
        return Vec::new();
    };
    let method = match method {
        "HEAD" => "get".to_owned(),
        other => other.to_lowercase(),
    };
    let methods: Vec<&String> = match operations.get_key_value(&method) {
        Some((method, _)) => vec![method],
        None => operations.keys().collect(),
    };
    let found = methods.into_iter().map(|method| {
        let responses = &operations[method]["responses"];
        assert!(
            responses.get(status.to_string()).is_some(),
            "{status} of {method} {template} is not documented, but answered"
        );
        (template.clone(), method.clone(), status)
    });
    found.collect()
}

fn template_of(path: &str) -> Option<(&'static String, &'static serde_json::Map<String, Value>)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    // A path without parameters is first: `active` in /sales/active is no sale id.
    let exact = paths.get_key_value(path);
    let matching = || paths.iter().find(|(template, _)| matches(template, path));
    let (template, operations) = exact.or_else(matching)?;
    Some((template, operations.as_object().unwrap()))
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template.zip(path).all(|(expected, found)| {
            expected == found || (expected.starts_with('{') && !found.is_empty())
        })
}
