//! The calls of an OpenAPI document: which operations there are, and which
//! statuses they may answer.

use serde_json::Value;

/// A document.
pub struct Document(Value);

impl Document {
    /// Takes a parsed document.
    pub fn new(document: Value) -> Self {
        Self(document)
    }

    /// Every operation, as `GET /sales/{id}`.
    pub fn operations(&self) -> Vec<String> {
        let of_path = |(path, item): (&String, &Value)| {
            let methods = item.as_object().into_iter().flatten();
            methods
                .filter(|(_, operation)| operation.get("responses").is_some())
                .map(|(method, _)| format!("{} {path}", method.to_uppercase()))
                .collect::<Vec<_>>()
        };
        self.paths().flat_map(of_path).collect()
    }

    /// The path of the document that a path of a call belongs to: `/sales/{id}` for
    /// `/sales/x?y=1`. Literal parts win over parameters.
    pub fn template(&self, path: &str) -> Option<&str> {
        let path = path.split(['?', '#']).next()?;
        let parts = || path.split('/');
        let fits = |template: &&String| {
            template.split('/').count() == parts().count()
                && template
                    .split('/')
                    .zip(parts())
                    .all(|(template, part)| template == part || is_parameter(template))
        };
        let parameters =
            |template: &&String| template.split('/').filter(|p| is_parameter(p)).count();
        self.paths()
            .map(|(template, _)| template)
            .filter(fits)
            .min_by_key(parameters)
            .map(String::as_str)
    }

    /// Whether an operation of this path may answer this status. A method that the path
    /// does not take has no operation of its own: any of the path's documents_it of it then.
    pub fn documents(&self, method: &str, template: &str, status: u16) -> bool {
        let Some(item) = self.0["paths"].get(template).and_then(Value::as_object) else {
            return false;
        };
        let method = method.to_lowercase();
        let documents_it =
            |operation: &Value| operation["responses"].get(status.to_string()).is_some();
        match item.get(&method) {
            Some(operation) => documents_it(operation),
            None => item.values().any(documents_it),
        }
    }

    fn paths(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0["paths"].as_object().into_iter().flatten()
    }
}

fn is_parameter(part: &str) -> bool {
    part.starts_with('{') && part.ends_with('}')
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use serde_json::json;

    /// A small document.
    pub fn document() -> Document {
        let answers = |statuses: &[&str]| {
            let answers = statuses.iter().map(|s| ((*s).to_owned(), json!({})));
            json!({"responses": answers.collect::<serde_json::Map<_, _>>()})
        };
        Document::new(json!({"paths": {
            "/checkout": {"post": answers(&["200", "413"]), "description": "a cart"},
            "/sales/active": {"get": answers(&["200", "405"])},
            "/sales/{id}": {"get": answers(&["200", "400"])},
            "/sales/{id}/items": {"get": answers(&["200"])},
        }}))
    }

    #[test]
    fn calls_belong_to_the_path_that_fits_best() {
        let document = document();
        for (path, template) in [
            ("/sales/active", Some("/sales/active")),
            ("/sales/shop.s.1?x=/", Some("/sales/{id}")),
            ("/sales/%ff", Some("/sales/{id}")),
            ("/sales/active/items", Some("/sales/{id}/items")),
            ("/checkout?user_id=a&id=b", Some("/checkout")),
            ("/checkout/", None),
            ("/nope", None),
        ] {
            assert_eq!(document.template(path), template, "{path}");
        }
    }

    #[test]
    fn operations_and_their_statuses_are_listed() {
        let document = document();
        assert_eq!(
            document.operations(),
            [
                "POST /checkout",
                "GET /sales/active",
                "GET /sales/{id}",
                "GET /sales/{id}/items"
            ]
        );
        assert!(document.documents("POST", "/checkout", 413));
        assert!(!document.documents("POST", "/checkout", 405));
        assert!(document.documents("DELETE", "/sales/active", 405));
        assert!(!document.documents("GET", "/sales/{id}", 405));
        assert!(!document.documents("GET", "/nope", 404));
        assert!(Document::new(Value::Null).operations().is_empty());
    }
}
