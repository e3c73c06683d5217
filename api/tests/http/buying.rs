//! Carts and orders while all is well.

use flashsale_engine::{CheckoutCode, Limits};
use jiff::SignedDuration;
use serde_json::json;

use super::support::{Answer, Stack, eventually, limits, unknown_suffix};

/// The problem that a checkout comes to once the feed has told the process.
async fn comes_to(stack: &Stack, user: &str, item: u32, status: u16, code: &str) {
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

    let answer = stack.checkout(0, "ann", stack.item(2)).await;
    answer.problem(400, "cart_full");
    let answer = stack.checkout(0, "", stack.item(2)).await;
    answer.problem(400, "invalid_user_id");
    let answer = stack.checkout(0, "ann", "").await;
    answer.problem(400, "invalid_item_id");
    let answer = stack.checkout(0, "ann", "no-such-item").await;
    answer.problem(404, "unknown_item");
    let answer = stack
        .checkout(0, "ann", &old_items.get(0).unwrap().id)
        .await;
    answer.problem(400, "item_of_another_sale");

    // Ann buys two, then one more, which is all she may have.
    let bought = stack.purchase(0, code.as_str().unwrap()).await;
    assert_eq!(bought.status, 200, "{bought:?}");
    comes_to(&stack, "bob", 0, 409, "already_sold").await;
    let code = stack.fill(0, "ann", &[2]).await;
    assert_eq!(stack.purchase(0, &code).await.status, 200);
    comes_to(&stack, "ann", 3, 400, "limit_reached").await;

    // The sale may sell six of its twenty items.
    for (user, items) in [("bob", [3, 4].as_slice()), ("cid", &[5])] {
        let code = stack.fill(0, user, items).await;
        assert_eq!(stack.purchase(0, &code).await.status, 200);
    }
    comes_to(&stack, "dan", 19, 409, "sold_out").await;

    // Another FlashSale, whose sale is to come.
    let (_, items) = stack
        .seed("shop.later", SignedDuration::from_mins(5), 5)
        .await;
    let later = stack.start_api_with(&["--flash-sale", "shop.later"]).await;
    let item = &items.get(0).unwrap().id;
    let answer = stack.checkout(later, "ann", item).await;
    answer.problem(400, "sale_not_active");

    stack.awaits_attempts().await;
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
    let named = |idx: u32| {
        let item = stack.catalog.get(idx).unwrap();
        json!({"id": item.id, "name": item.name, "sold": true})
    };
    let failed = |idx: u32, reason: &str| json!({"id": stack.item(idx), "reason": reason});

    let first = stack.purchase(0, &ann).await;
    let whole = json!({
        "success": true,
        "purchased_items": [named(0), named(1)],
        "failed_items": [],
        "total_purchased": 2,
        "failed_count": 0,
    });
    assert_eq!((first.status, first.json()), (200, whole.clone()));
    assert!(!replayed(&first));
    // The other process answers the same code with the same outcome, and says that it is old.
    let again = stack.purchase(1, &ann).await;
    assert_eq!((again.status, again.json()), (200, whole.clone()));
    assert!(replayed(&again));
    let outcome = stack.get(1, &format!("/purchase/{ann}")).await;
    assert_eq!((outcome.status, outcome.json()), (200, whole));

    // What is left of a cart is sold, and what is not is named.
    let part = stack.purchase(0, &bob).await;
    let expected = json!({
        "success": true,
        "purchased_items": [named(2)],
        "failed_items": [failed(1, "already_sold")],
        "total_purchased": 1,
        "failed_count": 1,
    });
    assert_eq!((part.status, part.json()), (200, expected));
    let part = stack.purchase(0, &dan).await;
    let expected = json!({
        "success": true,
        "purchased_items": [named(3)],
        "failed_items": [failed(0, "already_sold"), failed(4, "limit_reached")],
        "total_purchased": 1,
        "failed_count": 2,
    });
    assert_eq!((part.status, part.json()), (200, expected));

    // Nothing is left of it, or nothing may be sold: problems, which carry the outcome.
    for (code, status, reason, items) in [
        (&cid, 409, "already_sold", vec![0, 1]),
        (&eve, 400, "limit_reached", vec![5]),
    ] {
        for i in 0..2 {
            let answer = stack.purchase(i, code).await;
            let problem = answer.problem(status, reason);
            let items: Vec<_> = items.iter().map(|idx| failed(*idx, reason)).collect();
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

    let answer = stack.purchase(0, "CHK-nothing-like-it").await;
    let problem = answer.problem(400, "invalid_code");
    assert_eq!(problem.get("success"), None, "{problem}");
    let unknown = CheckoutCode::format(&stack.sale.id, &unknown_suffix(0));
    stack
        .purchase(0, &unknown)
        .await
        .problem(404, "unknown_code");

    // The sale ends: what was not bought is too late, what was bought stays.
    stack.admin.end_early(&stack.sale.id).await.unwrap();
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
async fn carts_and_outcomes_can_be_looked_at() {
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

    // Somebody else is quicker: the cart says so, as soon as the feed does.
    let other = stack.fill(0, "bob", &[1]).await;
    assert_eq!(stack.purchase(0, &other).await.status, 200);
    eventually("the cart shows the item as sold", || async {
        let cart = stack.get(0, &format!("/checkout/{code}")).await.json();
        cart["items"][1]["sold"] == true
    })
    .await;

    let unknown = CheckoutCode::format(&stack.sale.id, &unknown_suffix(0));
    // A partition that the sale does not have, and a FlashSale that this is not.
    let beyond = CheckoutCode::format(&stack.sale.id, &unknown_suffix(900));
    let elsewhere = code.replace("CHK-shop.hourly", "CHK-shop.daily");
    for what in ["checkout", "purchase"] {
        let invalid = stack.get(0, &format!("/{what}/CHK-1")).await;
        invalid.problem(400, "invalid_code");
        for code in [&unknown, &beyond, &elsewhere] {
            let answer = stack.get(0, &format!("/{what}/{code}")).await;
            answer.problem(404, "unknown_code");
        }
    }
}
