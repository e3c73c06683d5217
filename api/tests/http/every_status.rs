//! Every documented status is answered. The client of the tests checks the opposite: every
//! response is documented.

use std::collections::BTreeSet;

use flashsale_engine::{CheckoutCode, Limits};
use hyper::Method;

use super::support::openapi_document;
use super::support::raw_tcp;
use super::support::{Stack, eventually, unknown_suffix};

const CLOSE: &str = "Connection: close\r\n\r\n";

/// Sends a request as raw bytes and notes the status of the response.
async fn send_raw(stack: &Stack, i: usize, method: &str, path: &str, rest: &str) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{rest}");
    let answer = raw_tcp::exchange(stack.api(i), request).await;
    let status = raw_tcp::status(&answer).unwrap_or_else(|| panic!("{method} {path}: {answer:?}"));
    let path = path.split('?').next().unwrap();
    stack.client().note(method, path, status);
}

/// A call of each endpoint that succeeds.
fn calls_with_success(stack: &Stack, code: &str) -> [(&'static str, String); 8] {
    let sale = format!("/sales/{}", stack.sale.id);
    let item = stack.item(1);
    [
        ("POST", format!("/checkout?user_id=ann&id={item}")),
        ("GET", format!("/checkout/{code}")),
        ("POST", format!("/purchase?code={code}")),
        ("GET", format!("/purchase/{code}")),
        ("GET", "/sales/active".to_owned()),
        ("GET", sale.clone()),
        ("GET", format!("{sale}/items")),
        ("GET", "/health".to_owned()),
    ]
}

async fn provoke_200(stack: &Stack, calls: &[(&'static str, String)]) {
    for (method, path) in calls {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", stack.api(0));
        let answer = stack.client().call(method.clone(), &url, &[]).await;
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
    }
}

/// Item 0 is sold; `code` has only item 0.
async fn provoke_409(stack: &Stack, code: &str) {
    eventually("an item is sold", || async {
        stack.checkout(0, "cid", stack.item(0)).await.status == 409
    })
    .await;
    stack.purchase(0, code).await.problem(409, "already_sold");
}

/// `idle` is a process whose FlashSale has no sale.
async fn provoke_404(stack: &Stack, idle: usize) {
    let unknown = CheckoutCode::format(&stack.sale.id, &unknown_suffix(0));
    stack
        .checkout(0, "cid", "nothing")
        .await
        .problem(404, "unknown_item");
    stack
        .purchase(0, &unknown)
        .await
        .problem(404, "unknown_code");
    for path in [
        format!("/checkout/{unknown}"),
        format!("/purchase/{unknown}"),
        "/sales/shop.hourly.20200101T0000Z".to_owned(),
        "/sales/shop.hourly.20200101T0000Z/items".to_owned(),
    ] {
        assert_eq!(stack.get(0, &path).await.status, 404, "{path}");
    }
    let none = stack.get(idle, "/sales/active").await;
    none.problem(404, "no_active_sale");
}

/// 400, 405, 408 and 413 of every endpoint.
async fn provoke_request_errors(stack: &Stack, calls: &[(&'static str, String)]) {
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    let (malformed, silent) = (format!("{chunked}no chunk\r\n"), chunked);
    let large = "Content-Length: 100000\r\n\r\n";
    for (method, path) in calls {
        tokio::join!(
            send_raw(stack, 0, method, path, &malformed),
            send_raw(stack, 0, method, path, silent),
            send_raw(stack, 0, method, path, large),
            send_raw(stack, 0, "DELETE", path, CLOSE),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_status_is_answered() {
    let limits = Limits {
        per_user: 3,
        per_checkout: 10,
        total: 3,
    };
    let mut stack = Stack::start(20, limits, 0).await;
    stack
        .start_api_with(&["--request-timeout-seconds", "1"])
        .await;
    let idle = stack.start_api_with(&["--flash-sale", "shop.never"]).await;

    let code = stack.fill(0, "ann", &[0]).await;
    let too_late = stack.fill(0, "bob", &[0]).await;
    let calls = calls_with_success(&stack, &code);
    provoke_200(&stack, &calls).await;
    provoke_409(&stack, &too_late).await;
    provoke_404(&stack, idle).await;
    provoke_request_errors(&stack, &calls).await;

    // 503: from a process that has not connected to its backends.
    stack.postgres.stop();
    let unconnected = stack.launch_api(&[]).await;
    for (method, path) in &calls {
        send_raw(&stack, unconnected, method, path, CLOSE).await;
    }

    // 500 is a fault of the program, which the tests of `http_server` provoke.
    let documented = openapi_document::all();
    let seen = stack.client().seen();
    let missing: BTreeSet<_> = documented.difference(&seen).collect();
    let faults: BTreeSet<_> = documented.iter().filter(|d| d.2 == 500).collect();
    assert_eq!(missing, faults);
    assert_eq!(faults.len(), calls.len(), "every endpoint may have a fault");
}
