//! Looking at sales and their items.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::support::{Stack, eventually, limits};

/// Follows the cursors from the first page to the last; answers every item's id, in order.
async fn all_ids(stack: &Stack, path: &str) -> Vec<String> {
    let joint = if path.contains('?') { '&' } else { '?' };
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = stack.get(0, &format!("{path}{cursor}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        let items = page["items"].as_array().unwrap();
        ids.extend(items.iter().map(|i| i["id"].as_str().unwrap().to_owned()));
        match &page["next_cursor"] {
            Value::Null => return ids,
            Value::String(next) => cursor = format!("{joint}cursor={next}"),
            other => panic!("{other}"),
        }
        assert!(!items.is_empty() && ids.len() <= 5_000, "it never ends");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_active_sale_and_its_items_page_by_page() {
    let stack = Stack::start(2_345, limits(2_345), 1).await;
    let id = stack.sale.id.to_string();
    let expected = json!({
        "id": id,
        "started_at": stack.sale.window.starts_at.to_string(),
        "ended_at": stack.sale.window.ends_at.to_string(),
        "total_items": 2_345,
        "items_sold": 0,
        "active": true,
    });
    for path in ["/sales/active".to_owned(), format!("/sales/{id}")] {
        let answer = stack.get(0, &path).await;
        assert_eq!((answer.status, answer.json()), (200, expected.clone()));
    }

    let code = stack.fill(0, "ann", &[7, 100, 2_344]).await;
    assert_eq!(stack.purchase(0, &code).await.status, 200);
    eventually("the feed tells of the three", || async {
        stack.get(0, "/sales/active").await.json()["items_sold"] == 3
    })
    .await;

    let items = format!("/sales/{id}/items");
    let all: Vec<String> = stack.catalog.iter().map(|item| item.id.clone()).collect();
    let sold = [7, 100, 2_344].map(|idx| stack.item(idx).to_owned());
    let unsold: Vec<String> = all
        .iter()
        .filter(|id| !sold.contains(id))
        .cloned()
        .collect();
    for limit in ["", "?limit=1000", "?limit=469", "?limit=335"] {
        assert_eq!(all_ids(&stack, &format!("{items}{limit}")).await, all);
    }
    let available = format!("{items}?available=true&limit=500");
    assert_eq!(all_ids(&stack, &available).await, unsold);
    for limit in [1, 2, 3, 1000] {
        let taken = format!("{items}?available=false&limit={limit}");
        assert_eq!(all_ids(&stack, &taken).await, sold);
    }

    // A page is a hundred unless asked otherwise; each item is whole.
    let page = stack.get(0, &items).await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 100);
    let item = stack.catalog.get(7).unwrap();
    let seventh =
        json!({"id": item.id, "name": item.name, "image_url": item.image_url, "sold": true});
    assert_eq!(page["items"][7], seventh);
    let beyond = stack.get(0, &format!("{items}?cursor=2345")).await;
    let nothing = json!({"items": [], "next_cursor": null});
    assert_eq!((beyond.status, beyond.json()), (200, nothing));

    for query in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=many",
        "limit=",
        "limit=4294967296",
        "cursor=x",
        "cursor=-1",
        "cursor=99999999",
        "cursor=",
        "available=maybe",
        "available=",
        "limit=5&limit=5",
        "cursor=5&limit=5&cursor=6",
        "available=true&available=false",
    ] {
        let answer = stack.get(0, &format!("{items}?{query}")).await;
        let problem = answer.problem(400, "invalid_parameter");
        let (name, detail) = (query.split('=').next().unwrap(), &problem["detail"]);
        assert!(detail.as_str().unwrap().contains(name), "{query}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_of_the_past_and_those_that_are_not_there() {
    let stack = Stack::start(20, limits(20), 1).await;
    let ago = SignedDuration::from_hours(-30);
    let (past, items) = stack.seed("shop.hourly", ago, 250).await;
    let (other, _) = stack
        .seed("shop.daily", SignedDuration::from_mins(-2), 5)
        .await;

    // Only Postgres remembers it.
    let sale = stack.get(0, &format!("/sales/{}", past.id)).await;
    assert_eq!(sale.status, 200, "{sale:?}");
    let body = sale.json();
    assert_eq!(
        (&body["active"], &body["total_items"]),
        (&json!(false), &json!(250))
    );
    let path = format!("/sales/{}/items?limit=33", past.id);
    let ids: Vec<String> = items.iter().map(|item| item.id.clone()).collect();
    assert_eq!(all_ids(&stack, &path).await, ids);
    let unsold = format!("/sales/{}/items?available=true&limit=125", past.id);
    assert_eq!(all_ids(&stack, &unsold).await, ids);
    let sold = format!("/sales/{}/items?available=false", past.id);
    assert!(all_ids(&stack, &sold).await.is_empty());

    for end in ["", "/items"] {
        // Neither one that never was, nor one of another FlashSale.
        for id in ["shop.hourly.20200101T0000Z", other.id.as_str()] {
            let answer = stack.get(0, &format!("/sales/{id}{end}")).await;
            answer.problem(404, "unknown_sale");
        }
        for id in ["yesterday", "shop.hourly.20200101", "%20"] {
            let answer = stack.get(0, &format!("/sales/{id}{end}")).await;
            answer.problem(400, "invalid_sale_id");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_active_sale_the_next_one_is_named() {
    let mut stack = Stack::start(20, limits(20), 0).await;
    let (coming, _) = stack
        .seed("shop.later", SignedDuration::from_mins(5), 5)
        .await;
    let later = stack.start_api_with(&["--flash-sale", "shop.later"]).await;
    let problem = stack
        .get(later, "/sales/active")
        .await
        .problem(404, "no_active_sale");
    let starts_at = coming.window.starts_at.to_string();
    assert_eq!(problem["next_sale_starts_at"], starts_at, "{problem}");
    let sale = stack.get(later, &format!("/sales/{}", coming.id)).await;
    assert_eq!((sale.status, &sale.json()["active"]), (200, &json!(false)));

    let never = stack.start_api_with(&["--flash-sale", "shop.never"]).await;
    let problem = stack
        .get(never, "/sales/active")
        .await
        .problem(404, "no_active_sale");
    assert_eq!(problem.get("next_sale_starts_at"), None, "{problem}");
}

/// A process that says it is ready has loaded what is selling: else the first clients of a new
/// pod hear that no sale is active.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_ready_sells() {
    let mut stack = Stack::start(50_000, limits(50_000), 0).await;
    let i = stack.start_api().await;
    let active = stack.get(i, "/sales/active").await;
    assert_eq!(active.status, 200, "{active:?}");
    let answer = stack.checkout(i, "ann", stack.item(0)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}
