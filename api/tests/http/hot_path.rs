//! The hot path and the framework give one request the same response.

use serde_json::Value;

use super::support::{Answer, Stack, limits, unknown_suffix};

/// Status, headers and body of an answer to a request with the id `same`.
fn comparable(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let headers = answer.headers.iter();
    let headers = headers.filter(|(name, _)| *name != "date");
    let text = |value: &hyper::header::HeaderValue| value.to_str().unwrap().to_owned();
    let mut headers: Vec<_> = headers
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect();
    headers.sort();
    (answer.status, headers, answer.json())
}

/// Sends a path to the hot path, and to the framework: with a parameter behind it that no endpoint
/// has.
async fn same_response(stack: &Stack, path: &str) -> u16 {
    let ask = |url: String| async move {
        let id = [("x-request-id", "same")];
        let answer = stack.client().call(hyper::Method::POST, &url, &id).await;
        comparable(&answer)
    };
    let hot = ask(format!("{}{path}", stack.api(0))).await;
    let framework = ask(format!("{}{path}&none=", stack.api(0))).await;
    assert_eq!(hot, framework, "{path}");
    assert!(!hot.1.is_empty(), "no headers: {path}");
    hot.0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hot_path_responds_as_the_framework_does() {
    let stack = Stack::start(20, limits(20), 1).await;
    let code = stack.fill(0, "ann", &[0]).await;
    let others = stack.fill(0, "bob", &[0]).await;
    assert_eq!(stack.purchase(0, &code).await.status, 200);
    assert_eq!(stack.purchase(0, &others).await.status, 409);

    let unknown = format!("CHK-{}-{}", stack.sale.id, unknown_suffix(0).as_str());
    let long = "x".repeat(200);
    let item = stack.item(1);
    for (path, status) in [
        (format!("/checkout?user_id=cid&id={item}"), 200),
        (format!("/checkout?id={item}&user_id=cid"), 200),
        ("/checkout?user_id=cid&id=none".to_owned(), 404),
        (format!("/checkout?user_id=&id={item}"), 400),
        (format!("/checkout?user_id=a/b&id={item}"), 400),
        ("/checkout?user_id=cid&id=".to_owned(), 400),
        (format!("/checkout?user_id=cid&id={long}"), 400),
        (format!("/checkout?user_id={long}&id='!*~"), 400),
        (format!("/purchase?code={code}"), 200),
        (format!("/purchase?code={others}"), 409),
        (format!("/purchase?code={unknown}"), 404),
        ("/purchase?code=".to_owned(), 400),
        ("/purchase?code=CHK-a=b".to_owned(), 400),
    ] {
        assert_eq!(same_response(&stack, &path).await, status, "{path}");
    }
    stack.awaits_attempts().await;
}
