//! Checks a document against the schema of its kind, as the API server does: fields that the
//! kind does not have, types, bounds, lengths, patterns, words of a fixed set, what is missing.
//!
//! Guarantees: all errors are found; no value of a Secret is shown (of unknown fields the name is),
//! and no value that stands in the place of a reference to a Secret.

use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::CustomResourceExt;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::crd::FlashSale;
use crate::planner::{FieldError, quoted};

/// Found instead of a field of the kind.
pub(super) const UNKNOWN: &str = "an unknown field";

/// The schema of a FlashSale, with the fields of every resource.
pub(super) fn flash_sale() -> Value {
    let crd = FlashSale::crd();
    let version = crd.spec.versions.first();
    let schema = version.and_then(|version| version.schema.as_ref());
    let mut schema =
        serde_json::to_value(schema.and_then(|schema| schema.open_api_v3_schema.as_ref()))
            .unwrap_or_default();
    // The definition leaves out the fields that the API server adds to every resource.
    schema["properties"]["apiVersion"] = json!({"type": "string"});
    schema["properties"]["kind"] = json!({"type": "string"});
    schema["properties"]["metadata"] = of::<ObjectMeta>();
    schema["required"] = json!(["metadata", "spec"]);
    schema
}

/// The schema of a kind of Kubernetes.
pub(super) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().into()
}

/// A field without a value counts as missing.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        Value::Array(values) => values.into_iter().map(without_nulls).collect(),
        value => value,
    }
}

/// All errors of a document against its schema.
pub(super) fn check(schema: &Value, document: &Value, secret: bool) -> Vec<FieldError> {
    let mut check = Check {
        secret,
        errors: Vec::new(),
    };
    check.value(schema, document, "");
    check.errors
}

struct Check {
    secret: bool,
    errors: Vec<FieldError>,
}

impl Check {
    fn fail(&mut self, path: &str, found: String, expected: impl Into<String>) {
        self.errors.push(FieldError {
            path: path.to_owned(),
            found,
            expected: expected.into(),
        });
    }

    /// The value, as far as it may be shown.
    fn found(&self, path: &str, value: &Value) -> String {
        let hidden = self.secret || path.contains("secretKeyRef");
        match value {
            Value::Null => "nothing".to_owned(),
            Value::Object(_) => "a map".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            Value::String(text) if text.is_empty() => "nothing".to_owned(),
            Value::String(_) if hidden => "a text that is not shown".to_owned(),
            Value::String(text) => format!("the text {}", quoted(text)),
            _ if hidden => "a value that is not shown".to_owned(),
            other => other.to_string(),
        }
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &str) {
        if schema["x-kubernetes-int-or-string"] == true {
            if !(value.is_string() || value.is_i64() || value.is_u64()) {
                self.fail(path, self.found(path, value), "a text or a whole number");
            }
            return;
        }
        if let Value::Array(words) = &schema["enum"]
            && !words.contains(value)
        {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            let expected = format!("one of {}", words.join(", "));
            return self.fail(path, self.found(path, value), expected);
        }
        match (schema["type"].as_str(), value) {
            (Some("object"), Value::Object(fields)) => self.fields(schema, fields, path),
            (Some("array"), Value::Array(values)) => {
                for (n, value) in values.iter().enumerate() {
                    self.value(&schema["items"], value, &format!("{path}[{n}]"));
                }
            }
            (Some("string"), Value::String(text)) => self.text(schema, text, value, path),
            (Some("integer"), Value::Number(number)) => match number.as_i64() {
                Some(number) => self.number(schema, number, value, path),
                None => self.fail(path, self.found(path, value), "a whole number"),
            },
            (Some("boolean"), Value::Bool(_)) | (Some("number"), Value::Number(_)) | (None, _) => {}
            (Some(kind), _) => {
                let expected = match kind {
                    "object" => "a map of `key: value`",
                    "array" => "a list",
                    "string" => "a text",
                    "integer" => "a whole number",
                    "boolean" => "true or false",
                    other => other,
                };
                self.fail(path, self.found(path, value), expected);
            }
        }
    }

    fn fields(&mut self, schema: &Value, fields: &serde_json::Map<String, Value>, path: &str) {
        let inside = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        let known = schema["properties"].as_object();
        let others = &schema["additionalProperties"];
        for (name, value) in fields {
            match (known.and_then(|known| known.get(name)), known) {
                (Some(schema), _) => self.value(schema, value, &inside(name)),
                (None, Some(known)) if !others.is_object() => {
                    let names: Vec<&str> = known.keys().map(String::as_str).collect();
                    let expected = format!("one of {}", names.join(", "));
                    self.fail(&inside(name), UNKNOWN.to_owned(), expected);
                }
                // Keys of a Secret are no secret: FlashSales name them.
                _ => self.value(others, value, &inside(name)),
            }
        }
        let required = schema["required"].as_array().into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                let expected = match schema["properties"][name]["type"].as_str() {
                    Some("object") => "a map of `key: value`",
                    Some("integer") => "a whole number",
                    _ => "a value",
                };
                self.fail(&inside(name), "nothing".to_owned(), expected);
            }
        }
    }

    fn text(&mut self, schema: &Value, text: &str, value: &Value, path: &str) {
        let length = text.chars().count() as u64;
        let bound = |name: &str| schema[name].as_u64();
        let (min, max) = (bound("minLength"), bound("maxLength"));
        if min.is_some_and(|min| length < min) || max.is_some_and(|max| length > max) {
            let expected = match (min, max) {
                (Some(min), Some(max)) => format!("{min} to {max} characters"),
                (Some(min), None) => format!("at least {min} characters"),
                (_, max) => format!("at most {} characters", max.unwrap_or_default()),
            };
            return self.fail(path, self.found(path, value), expected);
        }
        if let Some(pattern) = schema["pattern"].as_str()
            && !matches(pattern, text)
        {
            let expected = format!("a text that matches {pattern}");
            return self.fail(path, self.found(path, value), expected);
        }
        let fits = match schema["format"].as_str() {
            Some("byte") => serde_json::from_value::<ByteString>(value.clone()).is_ok(),
            Some("date-time") => text.parse::<jiff::Timestamp>().is_ok(),
            _ => true,
        };
        match schema["format"].as_str() {
            _ if fits => {}
            Some("byte") => self.fail(
                path,
                "a text that is not base64 and is not shown".to_owned(),
                "base64; plain text belongs under stringData",
            ),
            _ => {
                let expected = "an RFC 3339 time such as 2026-11-27T08:00:00Z";
                self.fail(path, self.found(path, value), expected);
            }
        }
    }

    fn number(&mut self, schema: &Value, number: i64, value: &Value, path: &str) {
        let bound = |name: &str| schema[name].as_f64();
        let (min, max) = match schema["format"].as_str() {
            Some("int32") => (Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))),
            _ => (None, None),
        };
        let min = bound("minimum").or(min);
        let max = bound("maximum").or(max);
        let exact = number as f64;
        if min.is_some_and(|min| exact < min) || max.is_some_and(|max| exact > max) {
            let expected = match (min, max) {
                (Some(min), Some(max)) => format!("{min} to {max}"),
                (Some(min), None) => format!("at least {min}"),
                (_, max) => format!("at most {}", max.unwrap_or_default()),
            };
            self.fail(path, self.found(path, value), expected);
        }
    }
}

/// A pattern that cannot be read matches everything; a test reads all that there are.
fn matches(pattern: &str, text: &str) -> bool {
    regex::Regex::new(pattern).map_or(true, |pattern| pattern.is_match(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_pattern_of_the_definition_can_be_read() {
        fn patterns(schema: &Value, found: &mut Vec<String>) {
            match schema {
                Value::Object(fields) => {
                    for (name, value) in fields {
                        match value.as_str() {
                            Some(pattern) if name == "pattern" => found.push(pattern.to_owned()),
                            _ => patterns(value, found),
                        }
                    }
                }
                Value::Array(values) => values.iter().for_each(|value| patterns(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        patterns(&flash_sale(), &mut found);
        assert!(found.len() >= 3, "{found:?}");
        for pattern in found {
            regex::Regex::new(&pattern).unwrap();
        }
    }
}
