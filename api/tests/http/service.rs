//! Health, the document and its page, and the probes.

use super::support::{Stack, eventually, limits};

#[tokio::test(flavor = "multi_thread")]
async fn the_service_has_health_documents_and_probes() {
    let stack = Stack::start(20, limits(20), 1).await;
    health_has_all_up(&stack).await;
    documents_every_endpoint(&stack).await;
    serves_its_document_offline(&stack).await;
    answers_probes_on_the_internal_port_alone(&stack).await;
}

async fn health_has_all_up(stack: &Stack) {
    let health = stack.get(0, "/health").await;
    assert_eq!(health.status, 200, "{health:?}");
    let body = health.json();
    assert_eq!(body["status"], "up", "{body}");
    for dependency in ["redis", "postgres"] {
        let state = &body[dependency];
        assert_eq!(state["status"], "up", "{body}");
        assert!(state["latency_ms"].as_f64().unwrap() > 0.0, "{body}");
        assert_eq!(state.get("error"), None, "{body}");
    }
    assert_eq!(body["active_sale"], stack.sale.id.as_str());
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
}

async fn documents_every_endpoint(stack: &Stack) {
    let answer = stack.get(0, "/openapi.json").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let document = answer.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let statuses = |path: &str, method: &str| -> Vec<String> {
        let responses = document["paths"][path][method]["responses"].as_object();
        let responses = responses.unwrap_or_else(|| panic!("{method} {path} is missing"));
        responses.keys().cloned().collect()
    };
    for (path, method, expected) in [
        ("/checkout", "post", "200 400 404 409 503"),
        ("/checkout/{code}", "get", "200 400 404 503"),
        ("/purchase", "post", "200 400 404 409 503"),
        ("/purchase/{code}", "get", "200 400 404 503"),
        ("/sales/active", "get", "200 404"),
        ("/sales/{id}", "get", "200 400 404 503"),
        ("/sales/{id}/items", "get", "200 400 404 503"),
        ("/health", "get", "200 503"),
    ] {
        for status in expected.split(' ') {
            let found = statuses(path, method);
            assert!(found.iter().any(|s| s == status), "{path}: {found:?}");
        }
    }
    // The documented content type of a problem is the real one.
    let conflict = &document["paths"]["/checkout"]["post"]["responses"]["409"]["content"];
    let kinds: Vec<&String> = conflict.as_object().unwrap().keys().collect();
    assert!(
        kinds[0].starts_with("application/problem+json"),
        "{kinds:?}"
    );
}

async fn serves_its_document_offline(stack: &Stack) {
    let answer = stack.get(0, "/docs").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("text/html"), "{kind}");
    let page = answer.text();
    assert!(page.contains("SwaggerUIBundle"));
    for tag in tags(page) {
        for attribute in ["src=", "href="] {
            for part in tag.split(attribute).skip(1) {
                let value = part.trim_start_matches(['"', '\'']);
                let outside = ["http:", "https:", "//"]
                    .iter()
                    .any(|s| value.starts_with(s));
                assert!(!outside, "the page needs the network: <{tag}>");
            }
        }
    }
    assert!(!page.contains("@import"));
}

/// The tags of a page, without what is inside scripts and styles.
fn tags(page: &str) -> Vec<&str> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = rest.find('>').unwrap();
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        tags.push(tag);
        for body in ["script", "style"] {
            if tag.starts_with(body) {
                let end = rest.find(&format!("</{body}>")).unwrap();
                rest = &rest[end..];
            }
        }
    }
    tags
}

async fn answers_probes_on_the_internal_port_alone(stack: &Stack) {
    for path in ["/livez", "/readyz", "/metrics"] {
        let url = format!("{}{path}", stack.internal(0));
        let answer = stack.client().get(&url).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        stack.get(0, path).await.problem(404, "not_found");
    }
    let inside = format!("{}/checkout?user_id=ann&id=x", stack.internal(0));
    let answer = stack.client().post(&inside).await;
    assert_eq!(answer.status, 404, "{answer:?}");
}

#[test]
fn tags_are_found_outside_scripts() {
    let page = "<head><script src=a.js>if (a < b) '<x href=\"http://x\">'</script></head>";
    assert_eq!(tags(page), ["head", "script src=a.js", "/script", "/head"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_warns_about_a_redis_that_needs_all_of_its_slots() {
    let mut stack = Stack::start(20, limits(20), 1).await;
    let health = stack.get(0, "/health").await.json();
    assert_eq!(health["redis"].get("warning"), None, "{health}");

    let set = "CONFIG SET cluster-require-full-coverage yes";
    let words: Vec<&str> = set.split(' ').collect();
    stack.redis.ask_node(0, &words).unwrap();
    let other = stack.start_api().await;
    eventually("the other process warns", || async {
        let health = stack.get(other, "/health").await;
        assert_eq!(health.status, 200, "{health:?}");
        let warning = health.json()["redis"]["warning"].clone();
        warning
            .as_str()
            .is_some_and(|text| text.contains(set.trim_end_matches(" yes")))
    })
    .await;
}
