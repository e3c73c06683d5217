//! `X-Request-Id` in requests, responses, rows and the log.

use hyper::Method;
use serde_json::Value;

use super::support::{Answer, Stack, eventually, limits};

const LONGEST: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._";

fn id(answer: &Answer) -> &str {
    answer
        .header("x-request-id")
        .unwrap_or_else(|| panic!("no id: {answer:?}"))
}

async fn call(stack: &Stack, method: Method, path: &str, id: &str) -> Answer {
    let url = format!("{}{path}", stack.api(0));
    stack
        .client()
        .call(method, &url, &[("X-Request-Id", id)])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_an_id_and_a_valid_one_is_the_clients() {
    let stack = Stack::start(20, limits(20), 1).await;
    assert_eq!(LONGEST.len(), 64);
    let items = format!("/sales/{}/items", stack.sale.id);
    let answers = [
        (Method::GET, "/sales/active", 200),
        (Method::GET, "/health", 200),
        (Method::GET, "/docs", 200),
        (Method::GET, "/openapi.json", 200),
        (Method::GET, "/no/such/path", 404),
        (Method::GET, "/checkout", 405),
        (Method::DELETE, "/sales/active", 405),
        (Method::POST, "/checkout", 400),
        (Method::GET, &format!("{items}?limit=none"), 400),
    ];
    for (method, path, status) in answers {
        for valid in ["r-1", LONGEST, "A.b_C-9"] {
            let answer = call(&stack, method.clone(), path, valid).await;
            assert_eq!(
                (answer.status, id(&answer)),
                (status, valid),
                "{method} {path}"
            );
            if status >= 400 {
                assert_eq!(answer.json()["request_id"], valid, "{method} {path}");
            }
        }
        let mut seen = vec![];
        let too_long = format!("{LONGEST}x");
        for bad in [
            "",
            "with space",
            "semi;colon",
            "<script>",
            "päivää",
            &too_long,
        ] {
            let answer = call(&stack, method.clone(), path, bad).await;
            let own = id(&answer).to_owned();
            assert!(own != bad && own.len() == 32, "{method} {path}: {own:?}");
            if status >= 400 {
                assert_eq!(answer.json()["request_id"], own, "{method} {path}");
            }
            assert!(!seen.contains(&own), "{own} was given twice");
            seen.push(own);
        }
    }
}

/// Sends a request of each kind, each with an id of its own.
async fn send_requests_with_ids(stack: &Stack) {
    let item = stack.item(0);
    let path = format!("/checkout?user_id=ann&id={item}");
    let cart = call(stack, Method::POST, &path, "into-the-cart").await;
    let code = cart.json()["code"].as_str().unwrap().to_owned();
    let unknown = "/checkout?user_id=ann&id=none";
    call(stack, Method::POST, unknown, "refused").await;
    call(stack, Method::POST, "/checkout", "invalid").await;
    let buy = format!("/purchase?code={code}");
    assert_eq!(call(stack, Method::POST, &buy, "bought").await.status, 200);
    // The order keeps the id of the first request, which decided.
    assert_eq!(
        call(stack, Method::POST, &buy, "asked-again").await.status,
        200
    );
}

async fn rows_have_the_ids(stack: &Stack) {
    stack.awaits_attempts().await;
    let attempts: Vec<String> = stack
        .sql(
            "SELECT array_agg(concat_ws(' ', request_id, outcome, coalesce(user_id, '-'), \
             (code IS NOT NULL)::text) ORDER BY request_id) FROM checkout_attempts",
        )
        .await;
    let expected = [
        "into-the-cart added ann true",
        "invalid invalid_user_id - false",
        "refused unknown_item ann false",
    ];
    assert_eq!(attempts, expected);
    let orders: Vec<String> = stack.sql("SELECT array_agg(request_id) FROM orders").await;
    assert_eq!(orders, ["bought"]);
}

/// The lines of the log so far.
fn log_lines(stack: &Stack) -> Vec<Value> {
    let log = stack.apis.log(0);
    log.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Awaits one access line for each request.
async fn the_log_has_a_line_for_each_request(stack: &Stack) {
    eventually("the log has the requests", || async {
        let lines = log_lines(stack);
        [
            ("into-the-cart", 200),
            ("refused", 404),
            ("invalid", 400),
            ("bought", 200),
        ]
        .iter()
        .all(|(id, status)| {
            let matching = lines.iter().filter(|line| {
                line["target"] == "flashsale::access"
                    && line["request_id"] == *id
                    && line["status"] == *status
            });
            matching.count() == 1
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_in_the_rows_and_the_log() {
    let stack = Stack::start(20, limits(20), 1).await;
    send_requests_with_ids(&stack).await;
    rows_have_the_ids(&stack).await;
    the_log_has_a_line_for_each_request(&stack).await;
    // Each answered order has a line with the user, the sale and the request.
    let lines = log_lines(&stack);
    let orders: Vec<&Value> = lines
        .iter()
        .filter(|line| line["event"] == "order")
        .collect();
    let ids: Vec<&Value> = orders.iter().map(|order| &order["request_id"]).collect();
    assert_eq!(ids, ["bought", "asked-again"]);
    for order in &orders {
        assert_eq!(order["sale"], stack.sale.id.as_str(), "{order}");
        assert_eq!((&order["user"], &order["sold"]), (&"ann".into(), &1.into()));
    }
}
