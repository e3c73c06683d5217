//! Sales and their items.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::support::{Stack, eventually, limits};

/// Follows the cursors from the first page to the last; returns the id of every item, in order.
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
        assert!(
            !items.is_empty() && ids.len() <= 5_000,
            "the pages have no end"
        );
    }
}

async fn the_active_sale_is_shown(stack: &Stack) {
    let id = stack.sale.id.as_str();
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
}

/// Pages of several sizes, and of sold or unsold items alone, contain each item once.
async fn pages_contain_each_item_once(stack: &Stack, items: &str, sold: &[u32]) {
    let all: Vec<String> = stack.catalog.iter().map(|item| item.id.clone()).collect();
    let sold: Vec<&str> = sold.iter().map(|idx| stack.item(*idx)).collect();
    let unsold: Vec<String> = all
        .iter()
        .filter(|id| !sold.contains(&id.as_str()))
        .cloned()
        .collect();
    for limit in ["", "?limit=1000", "?limit=469", "?limit=335"] {
        assert_eq!(all_ids(stack, &format!("{items}{limit}")).await, all);
    }
    let available = format!("{items}?available=true&limit=500");
    assert_eq!(all_ids(stack, &available).await, unsold);
    for limit in [1, 2, 3, 1000] {
        let unavailable = format!("{items}?available=false&limit={limit}");
        assert_eq!(all_ids(stack, &unavailable).await, sold);
    }
}

/// Item 7 is sold.
async fn a_page_has_a_hundred_complete_items(stack: &Stack, items: &str) {
    let page = stack.get(0, items).await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 100);
    let item = stack.catalog.get(7).unwrap();
    let seventh =
        json!({"id": item.id, "name": item.name, "image_url": item.image_url, "sold": true});
    assert_eq!(page["items"][7], seventh);
    let beyond = stack.get(0, &format!("{items}?cursor=2345")).await;
    let nothing = json!({"items": [], "next_cursor": null});
    assert_eq!((beyond.status, beyond.json()), (200, nothing));
}

const INVALID_PAGE_QUERIES: [&str; 15] = [
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
];

#[tokio::test(flavor = "multi_thread")]
async fn the_active_sale_and_its_items_page_by_page() {
    let stack = Stack::start(2_345, limits(2_345), 1).await;
    the_active_sale_is_shown(&stack).await;
    let sold = [7, 100, 2_344];
    let code = stack.fill(0, "ann", &sold).await;
    assert_eq!(stack.purchase(0, &code).await.status, 200);
    eventually("the sale view has the three items", || async {
        stack.get(0, "/sales/active").await.json()["items_sold"] == 3
    })
    .await;

    let items = format!("/sales/{}/items", stack.sale.id);
    pages_contain_each_item_once(&stack, &items, &sold).await;
    a_page_has_a_hundred_complete_items(&stack, &items).await;
    for query in INVALID_PAGE_QUERIES {
        let answer = stack.get(0, &format!("{items}?{query}")).await;
        let problem = answer.problem(400, "invalid_parameter");
        let (name, detail) = (query.split('=').next().unwrap(), &problem["detail"]);
        assert!(detail.as_str().unwrap().contains(name), "{query}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_of_the_past_are_shown_and_unknown_sales_are_not() {
    let stack = Stack::start(20, limits(20), 1).await;
    let ago = SignedDuration::from_hours(-30);
    let (past, items) = stack.seed("shop.hourly", ago, 250).await;
    let (other, _) = stack
        .seed("shop.daily", SignedDuration::from_mins(-2), 5)
        .await;

    // Only Postgres has this sale.
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
        // A sale that never existed, and one of another FlashSale.
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

/// A ready process has loaded the active sale. Otherwise the first clients of a new pod would get
/// "no sale is active".
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_ready_sells() {
    let mut stack = Stack::start(50_000, limits(50_000), 0).await;
    let i = stack.start_api().await;
    let active = stack.get(i, "/sales/active").await;
    assert_eq!(active.status, 200, "{active:?}");
    let answer = stack.checkout(i, "ann", stack.item(0)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}
