//! The OpenAPI document against the service, in the direction that a client cannot look up:
//! everything that is documented is really answered.

use std::collections::BTreeSet;

use flashsale_engine::{CheckoutCode, Limits};
use hyper::Method;

use super::support::openapi_document as documented;
use super::support::raw_tcp as raw;
use super::support::{Stack, eventually, unknown_suffix};

/// Asks as raw bytes, and notes what is answered.
async fn ask(stack: &Stack, i: usize, method: &str, path: &str, rest: &str) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{rest}");
    let answer = raw::exchange(stack.api(i), request).await;
    let status = raw::status(&answer).unwrap_or_else(|| panic!("{method} {path}: {answer:?}"));
    let path = path.split('?').next().unwrap();
    stack.client().note(method, path, status);
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
    let never = stack.start_api_with(&["--flash-sale", "shop.never"]).await;

    let code = stack.fill(0, "ann", &[0]).await;
    let too_late = stack.fill(0, "bob", &[0]).await;
    let unknown = CheckoutCode::format(&stack.sale.id, &unknown_suffix(0));
    let sale = format!("/sales/{}", stack.sale.id);
    let calls = [
        (
            "POST",
            format!("/checkout?user_id=ann&id={}", stack.item(1)),
        ),
        ("GET", format!("/checkout/{code}")),
        ("POST", format!("/purchase?code={code}")),
        ("GET", format!("/purchase/{code}")),
        ("GET", "/sales/active".to_owned()),
        ("GET", sale.clone()),
        ("GET", format!("{sale}/items")),
        ("GET", "/health".to_owned()),
    ];

    // 200, and what is particular to an endpoint.
    for (method, path) in &calls {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", stack.api(0));
        let answer = stack.client().call(method.clone(), &url, &[]).await;
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
    }
    eventually("an item is sold", || async {
        stack.checkout(0, "cid", stack.item(0)).await.status == 409
    })
    .await;
    stack
        .purchase(0, &too_late)
        .await
        .problem(409, "already_sold");
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
    let none = stack.get(never, "/sales/active").await;
    none.problem(404, "no_active_sale");

    // What every endpoint answers: 400, 405, 408, 413.
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    let (broken, silent) = (format!("{chunked}no chunk\r\n"), chunked);
    let large = "Content-Length: 100000\r\n\r\n";
    let close = "Connection: close\r\n\r\n";
    for (method, path) in &calls {
        tokio::join!(
            ask(&stack, 0, method, path, &broken),
            ask(&stack, 0, method, path, silent),
            ask(&stack, 0, method, path, large),
            ask(&stack, 0, "DELETE", path, close),
        );
    }

    // 503: from a process that has not reached its stores.
    stack.postgres.stop();
    let away = stack.launch_api(&[]).await;
    for (method, path) in &calls {
        ask(&stack, away, method, path, close).await;
    }

    // 500 is a fault of the program, which the tests of serving provoke.
    let documented = documented::all();
    let seen = stack.client().seen();
    let missing: BTreeSet<_> = documented.difference(&seen).collect();
    let faults: BTreeSet<_> = documented.iter().filter(|d| d.2 == 500).collect();
    assert_eq!(missing, faults);
    assert_eq!(faults.len(), calls.len(), "every endpoint may have a fault");
}
