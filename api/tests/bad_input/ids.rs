//! Ids and codes that are missing, malformed, unknown or of another user; limits; closed sales.

use hyper::Method;
use jiff::SignedDuration;

use super::fixture::{Fixture, raw_problem};

/// Queries of POST /checkout with an invalid id: the problem's code and a part of its detail.
/// `{item}` stands for a valid item.
const INVALID_IDS: [(&str, &str, &str); 16] = [
    ("id={item}", "invalid_user_id", "found none"),
    ("user_id=ann", "invalid_item_id", "found none"),
    ("", "invalid_user_id", "found none"),
    ("user_id=&id={item}", "invalid_user_id", "nothing"),
    ("user_id=ann&id=", "invalid_item_id", "nothing"),
    ("user_id=%FF&id={item}", "invalid_user_id", "character"),
    (
        "user_id=ann&id={item}%FF%FE",
        "invalid_item_id",
        "character",
    ),
    ("user_id=an%00n&id={item}", "invalid_user_id", "character"),
    ("user_id=zo%C3%AB&id={item}", "invalid_user_id", "character"),
    ("user_id=a%7Cb&id={item}", "invalid_user_id", "character"),
    ("user_id=a%20b&id={item}", "invalid_user_id", "character"),
    ("user_id=a+b&id={item}", "invalid_user_id", "character"),
    (
        "user_id=%0d%0aX-Bad:1&id={item}",
        "invalid_user_id",
        "character",
    ),
    ("user_id[]=ann&id={item}", "invalid_user_id", "found none"),
    ("USER_ID=ann&id={item}", "invalid_user_id", "found none"),
    ("user_id=%&id={item}", "invalid_user_id", "character"),
];

/// Ids that are given twice.
const REPEATED_IDS: [(&str, &str, &str); 2] = [
    (
        "user_id=ann&user_id=bob&id={item}",
        "invalid_user_id",
        "several",
    ),
    (
        "user_id=ann&id={item}&id={item}",
        "invalid_item_id",
        "several",
    ),
];

/// [`INVALID_IDS`] and [`REPEATED_IDS`] with a real item, and ids that are too long.
fn invalid_id_queries(item: &str) -> Vec<(String, &'static str, &'static str)> {
    let (long_user, long_item) = ("u".repeat(65), "i".repeat(129));
    let too_long = [
        (
            format!("user_id={long_user}&id={item}"),
            "invalid_user_id",
            "65 bytes",
        ),
        (
            format!("user_id=ann&id={long_item}"),
            "invalid_item_id",
            "129 bytes",
        ),
    ];
    let fixed = INVALID_IDS.into_iter().chain(REPEATED_IDS);
    fixed
        .map(|(query, code, detail)| (query.replace("{item}", item), code, detail))
        .chain(too_long)
        .collect()
}

/// Checks the response to each invalid query; returns how many queries had an invalid user.
async fn refuses_invalid_ids(fixture: &Fixture) -> i64 {
    let mut invalid_users = 0;
    for (query, code, expected_detail) in invalid_id_queries(fixture.stack.item(1)) {
        let problem = fixture.checkout(&query).await.problem(400, code);
        invalid_users += i64::from(code == "invalid_user_id");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(expected_detail), "{query}: {detail}");
    }
    invalid_users
}

async fn refuses_unknown_items(fixture: &Fixture) {
    for unknown in [
        "nothing",
        "-",
        "20200101T0000Z-00001",
        "..",
        "%2e%2e",
        "' OR 1=1",
    ] {
        let unknown = unknown.replace(' ', "%20").replace('\'', "%27");
        let query = format!("user_id=ann&id={unknown}");
        let answer = fixture.checkout(&query).await;
        let (status, code) = match answer.status {
            404 => (404, "unknown_item"),
            _ => (400, "invalid_item_id"),
        };
        answer.problem(status, code);
    }
}

/// Parameters belong into the query; a form is not read.
async fn ignores_parameters_in_a_form(fixture: &Fixture) {
    let form = "user_id=ann&id=x";
    let answer = fixture
        .raw(format!(
            "POST /checkout HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        ))
        .await;
    raw_problem(&answer, 400, "invalid_user_id");
    fixture.note_checkouts(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_and_unknown_ids_are_refused_and_logged() {
    let fixture = Fixture::start(&[]).await;
    let invalid_users = refuses_invalid_ids(&fixture).await;
    refuses_unknown_items(&fixture).await;
    ignores_parameters_in_a_form(&fixture).await;
    // The log has null in place of an invalid user. The form counts as well.
    fixture
        .stack
        .awaits_count(
            "SELECT count(*) FROM checkout_attempts WHERE user_id IS NULL",
            invalid_users + 1,
        )
        .await;
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_codes_and_codes_of_other_sales_are_refused() {
    let fixture = Fixture::start(&[]).await;
    let good = &fixture.code;
    let suffix = good.rsplit('-').next().unwrap();
    let long = format!("CHK-{}-{suffix}", "x".repeat(5_000));
    for (query, expected_detail) in [
        (String::new(), "found none"),
        ("code=".to_owned(), "nothing"),
        ("code=CHK-".to_owned(), "expected CHK-"),
        (format!("code={}", good.to_lowercase()), "expected CHK-"),
        (format!("code={good}x"), "expected CHK-"),
        (format!("code={}", &good[..good.len() - 1]), "expected CHK-"),
        (format!("code={good}%FF"), "expected CHK-"),
        ("code=%FF".to_owned(), "expected CHK-"),
        (format!("code={good}%00"), "expected CHK-"),
        (format!("code={good}&code={good}"), "several"),
        (format!("code={long}"), "expected CHK-"),
        (format!("CODE={good}"), "found none"),
    ] {
        let path = format!("/purchase?{query}");
        let problem = fixture
            .call(Method::POST, &path)
            .await
            .problem(400, "invalid_code");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(expected_detail), "{query}: {detail}");
        assert!(detail.len() < 300, "{detail}");
    }
    // Codes without a cart: of another FlashSale, of a sale that never existed, unknown.
    let (daily, daily_items) = fixture
        .stack
        .seed("shop.daily", SignedDuration::from_mins(-5), 5)
        .await;
    let foreign = format!("CHK-{}-{suffix}", daily.id);
    let never = format!("CHK-shop.hourly.20200101T0000Z-{suffix}");
    let random = format!("{}{}", &good[..good.len() - 10], "0123456789");
    for code in [&foreign, &never, &random] {
        let answer = fixture.stack.purchase(0, code).await;
        answer.problem(404, "unknown_code");
        for endpoint in ["checkout", "purchase"] {
            let answer = fixture.stack.get(0, &format!("/{endpoint}/{code}")).await;
            answer.problem(404, "unknown_code");
        }
    }
    let item = &daily_items.get(0).unwrap().id;
    let answer = fixture.checkout(&format!("user_id=ann&id={item}")).await;
    answer.problem(400, "item_of_another_sale");
    for path in ["/checkout/%FF", "/purchase/%FF%FE"] {
        let answer = fixture.call(Method::GET, path).await;
        answer.problem(400, "invalid_path");
    }
    for path in ["/checkout/%20", "/purchase/%00", "/purchase/CHK-%2e%2e"] {
        let answer = fixture.call(Method::GET, path).await;
        answer.problem(400, "invalid_code");
    }
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_eleventh_item_of_a_cart_is_refused() {
    let fixture = Fixture::start(&[]).await;
    let stack = &fixture.stack;
    let items: Vec<u32> = (1..=10).collect();
    let code = stack.fill(0, "bob", &items).await;
    let eleventh = stack.checkout(0, "bob", stack.item(11)).await;
    eleventh.problem(400, "cart_full");
    let cart = stack.get(0, &format!("/checkout/{code}")).await.json();
    assert_eq!(cart["items_count"], 10, "{cart}");
    fixture.nothing_changed().await;
    stack.awaits_attempts().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_sale_refuses_checkouts_and_purchases() {
    let fixture = Fixture::start(&[]).await;
    let stack = &fixture.stack;
    let ago = SignedDuration::from_hours(-2);
    let (over, items) = stack.seed("shop.hourly", ago, 5).await;
    // The first sale ended an hour ago and is settled.
    assert_eq!(stack.close_and_settle(&over.id).await, 0);
    let suffix = fixture.code.rsplit('-').next().unwrap();
    let code = format!("CHK-{}-{suffix}", over.id);
    stack
        .purchase(0, &code)
        .await
        .problem(400, "sale_not_active");
    let item = &items.get(0).unwrap().id;
    let answer = stack.checkout(0, "ann", item).await;
    answer.problem(400, "item_of_another_sale");
    // The second sale is closed while clients use it.
    stack.admin.end_early(&stack.sale.id).await.unwrap();
    let answer = stack.checkout(0, "bob", stack.item(1)).await;
    answer.problem(400, "sale_not_active");
    stack
        .purchase(0, &fixture.code)
        .await
        .problem(503, "unavailable");
    fixture.end().await;
}
