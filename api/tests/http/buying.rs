//! Carts and orders while all backends are up.

use flashsale_engine::{CheckoutCode, Limits};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::support::{Answer, Stack, eventually, limits, unknown_suffix};

/// Awaits that a checkout gets this problem: the sale view of the process lags behind a purchase.
async fn awaits_problem(stack: &Stack, user: &str, item: u32, status: u16, code: &str) {
    let item = stack.item(item);
    eventually(code, || async {
        stack.checkout(0, user, item).await.status == status
    })
    .await;
    let answer = stack.checkout(0, user, item).await;
    answer.problem(status, code);
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

/// Fills ann's cart up to its limit and returns its code.
async fn a_cart_fills_up_to_its_limit(stack: &Stack) -> String {
    let first = stack.checkout(0, "ann", stack.item(0)).await;
    assert_eq!(first.status, 200, "{first:?}");
    let (cart, code) = (first.json(), first.json()["code"].clone());
    let prefix = format!("CHK-{}-", stack.sale.id);
    assert!(code.as_str().unwrap().starts_with(&prefix), "{cart}");
    let ends_at = stack.sale.window.ends_at.to_string();
    let expected = json!({"code": code, "items_count": 1, "sale_ends_at": ends_at});
    assert_eq!(cart, expected);

    // The same item again is no error and counts once; the code stays.
    let again = stack.checkout(0, "ann", stack.item(0)).await;
    assert_eq!((again.status, again.json()), (200, expected));
    let second = stack.checkout(0, "ann", stack.item(1)).await.json();
    assert_eq!(
        (&second["code"], &second["items_count"]),
        (&code, &json!(2))
    );
    let third = stack.checkout(0, "ann", stack.item(2)).await;
    third.problem(400, "cart_full");
    code.as_str().unwrap().to_owned()
}

async fn invalid_items_and_users_are_refused(stack: &Stack, item_of_old_sale: &str) {
    for (user, item, status, code) in [
        ("", stack.item(2), 400, "invalid_user_id"),
        ("ann", "", 400, "invalid_item_id"),
        ("ann", "no-such-item", 404, "unknown_item"),
        ("ann", item_of_old_sale, 400, "item_of_another_sale"),
    ] {
        let answer = stack.checkout(0, user, item).await;
        answer.problem(status, code);
    }
}

/// A user may have three items, the sale may sell six of its twenty.
async fn sold_items_and_limits_are_refused(stack: &Stack, code_of_ann: &str) {
    let bought = stack.purchase(0, code_of_ann).await;
    assert_eq!(bought.status, 200, "{bought:?}");
    awaits_problem(stack, "bob", 0, 409, "already_sold").await;
    let code = stack.fill(0, "ann", &[2]).await;
    assert_eq!(stack.purchase(0, &code).await.status, 200);
    awaits_problem(stack, "ann", 3, 400, "limit_reached").await;

    for (user, items) in [("bob", [3, 4].as_slice()), ("cid", &[5])] {
        let code = stack.fill(0, user, items).await;
        assert_eq!(stack.purchase(0, &code).await.status, 200);
    }
    awaits_problem(stack, "dan", 19, 409, "sold_out").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_answers_with_each_of_its_statuses() {
    let limits = Limits {
        per_user: 3,
        per_checkout: 2,
        total: 6,
    };
    let mut stack = Stack::start(20, limits, 1).await;
    let (_, old_items) = stack
        .seed("shop.hourly", SignedDuration::from_hours(-3), 5)
        .await;
    let code = a_cart_fills_up_to_its_limit(&stack).await;
    invalid_items_and_users_are_refused(&stack, &old_items.get(0).unwrap().id).await;
    sold_items_and_limits_are_refused(&stack, &code).await;

    // The sale of another FlashSale has not started.
    let (_, items) = stack
        .seed("shop.later", SignedDuration::from_mins(5), 5)
        .await;
    let later = stack.start_api_with(&["--flash-sale", "shop.later"]).await;
    let item = &items.get(0).unwrap().id;
    let answer = stack.checkout(later, "ann", item).await;
    answer.problem(400, "sale_not_active");

    stack.awaits_attempts().await;
}

/// An item as an outcome names it.
fn purchased(stack: &Stack, idx: u32) -> Value {
    let item = stack.catalog.get(idx).unwrap();
    json!({"id": item.id, "name": item.name, "sold": true})
}

fn failed(stack: &Stack, idx: u32, reason: &str) -> Value {
    json!({"id": stack.item(idx), "reason": reason})
}

/// The outcome with these items.
fn outcome_body(purchased: &[Value], failed: &[Value]) -> Value {
    json!({
        "success": !purchased.is_empty(),
        "purchased_items": purchased,
        "failed_items": failed,
        "total_purchased": purchased.len(),
        "failed_count": failed.len(),
    })
}

async fn a_whole_cart_is_bought_and_replayed(stack: &Stack, code: &str) {
    let first = stack.purchase(0, code).await;
    let whole = outcome_body(&[purchased(stack, 0), purchased(stack, 1)], &[]);
    assert_eq!((first.status, first.json()), (200, whole.clone()));
    assert!(!replayed(&first));
    // The other process returns the same outcome, with the header for a replay.
    let again = stack.purchase(1, code).await;
    assert_eq!((again.status, again.json()), (200, whole.clone()));
    assert!(replayed(&again));
    let outcome = stack.get(1, &format!("/purchase/{code}")).await;
    assert_eq!((outcome.status, outcome.json()), (200, whole));
}

/// Unsold items of the cart are bought; the outcome lists the others with reasons.
async fn a_cart_is_bought_in_part(stack: &Stack, code: &str, bought: u32, rest: &[Value]) {
    let part = stack.purchase(0, code).await;
    let expected = outcome_body(&[purchased(stack, bought)], rest);
    assert_eq!((part.status, part.json()), (200, expected));
    assert!(!replayed(&part));
}

/// A purchase without success is a problem with the outcome, at both processes.
async fn nothing_is_bought(stack: &Stack, code: &str, (status, reason): (u16, &str), idxs: &[u32]) {
    for i in 0..2 {
        let answer = stack.purchase(i, code).await;
        let problem = answer.problem(status, reason);
        let items: Vec<_> = idxs.iter().map(|idx| failed(stack, *idx, reason)).collect();
        assert_eq!(problem["success"], false);
        assert_eq!(problem["purchased_items"], json!([]));
        assert_eq!(problem["failed_items"], json!(items));
        assert_eq!(problem["total_purchased"], 0);
        assert_eq!(problem["failed_count"], items.len());
        assert_eq!(replayed(&answer), i == 1, "{answer:?}");
    }
    let outcome = stack.get(0, &format!("/purchase/{code}")).await;
    assert_eq!(
        (outcome.status, &outcome.json()["success"]),
        (200, &json!(false))
    );
}

async fn invalid_and_unknown_codes_are_refused(stack: &Stack) {
    let answer = stack.purchase(0, "CHK-nothing-like-it").await;
    let problem = answer.problem(400, "invalid_code");
    assert_eq!(problem.get("success"), None, "{problem}");
    let unknown = CheckoutCode::format(&stack.sale.id, &unknown_suffix(0));
    stack
        .purchase(0, &unknown)
        .await
        .problem(404, "unknown_code");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_answers_with_each_of_its_statuses() {
    let limits = Limits {
        per_user: 10,
        per_checkout: 10,
        total: 4,
    };
    let stack = Stack::start(20, limits, 2).await;
    let ann = stack.fill(0, "ann", &[0, 1]).await;
    let bob = stack.fill(0, "bob", &[1, 2]).await;
    let cid = stack.fill(0, "cid", &[0, 1]).await;
    let dan = stack.fill(1, "dan", &[3, 0, 4]).await;
    let eve = stack.fill(1, "eve", &[5]).await;
    let fay = stack.fill(1, "fay", &[6]).await;

    a_whole_cart_is_bought_and_replayed(&stack, &ann).await;
    let sold = failed(&stack, 1, "already_sold");
    a_cart_is_bought_in_part(&stack, &bob, 2, &[sold]).await;
    let sold = failed(&stack, 0, "already_sold");
    let limited = failed(&stack, 4, "limit_reached");
    a_cart_is_bought_in_part(&stack, &dan, 3, &[sold, limited]).await;
    nothing_is_bought(&stack, &cid, (409, "already_sold"), &[0, 1]).await;
    nothing_is_bought(&stack, &eve, (400, "limit_reached"), &[5]).await;
    invalid_and_unknown_codes_are_refused(&stack).await;

    // After the end of the sale a new purchase is refused, for good once no claim can come any more; an
    // earlier outcome remains.
    stack.admin.end_early(&stack.sale.id).await.unwrap();
    stack.purchase(0, &fay).await.problem(503, "unavailable");
    stack.close_and_settle(&stack.sale.id).await;
    stack
        .purchase(0, &fay)
        .await
        .problem(400, "sale_not_active");
    let after = stack.purchase(0, &ann).await;
    assert_eq!((after.status, replayed(&after)), (200, true));

    let orders: i64 = stack.sql("SELECT count(*) FROM orders").await;
    let sold: i64 = stack.sql("SELECT count(*) FROM purchases").await;
    assert_eq!((orders, sold), (5, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn carts_and_outcomes_are_shown() {
    let stack = Stack::start(20, limits(20), 1).await;
    let code = stack.fill(0, "ann", &[3, 1]).await;
    let shown = |idx: u32| {
        let item = stack.catalog.get(idx).unwrap();
        json!({"id": item.id, "name": item.name, "image_url": item.image_url, "sold": false})
    };
    let cart = stack.get(0, &format!("/checkout/{code}")).await;
    let expected = json!({
        "code": code,
        "user_id": "ann",
        "items": [shown(3), shown(1)],
        "items_count": 2,
        "sale_ends_at": stack.sale.window.ends_at.to_string(),
    });
    assert_eq!((cart.status, cart.json()), (200, expected));
    let outcome = stack.get(0, &format!("/purchase/{code}")).await;
    outcome.problem(404, "unknown_code");

    // Another user buys an item: the cart shows it as sold once the sale view has it.
    let other = stack.fill(0, "bob", &[1]).await;
    assert_eq!(stack.purchase(0, &other).await.status, 200);
    eventually("the cart shows the item as sold", || async {
        let cart = stack.get(0, &format!("/checkout/{code}")).await.json();
        cart["items"][1]["sold"] == true
    })
    .await;

    let unknown = CheckoutCode::format(&stack.sale.id, &unknown_suffix(0));
    // A partition that the sale does not have, and another FlashSale.
    let beyond = CheckoutCode::format(&stack.sale.id, &unknown_suffix(900));
    let elsewhere = code.replace("CHK-shop.hourly", "CHK-shop.daily");
    for endpoint in ["checkout", "purchase"] {
        let invalid = stack.get(0, &format!("/{endpoint}/CHK-1")).await;
        invalid.problem(400, "invalid_code");
        for code in [&unknown, &beyond, &elsewhere] {
            let answer = stack.get(0, &format!("/{endpoint}/{code}")).await;
            answer.problem(404, "unknown_code");
        }
    }
}
