//! Ids and codes that are missing, malformed, unknown or somebody else's; limits; closed sales.

use hyper::Method;
use jiff::SignedDuration;

use super::fixture::{Story, raw_problem};

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_are_none() {
    let story = Story::begin(&[]).await;
    let item = story.stack.item(1).to_owned();
    let mut without_user = 0;
    let (long_user, long_item) = ("u".repeat(65), "i".repeat(129));
    for (query, code, says) in [
        (format!("id={item}"), "invalid_user_id", "found none"),
        ("user_id=ann".to_owned(), "invalid_item_id", "found none"),
        (String::new(), "invalid_user_id", "found none"),
        (format!("user_id=&id={item}"), "invalid_user_id", "nothing"),
        ("user_id=ann&id=".to_owned(), "invalid_item_id", "nothing"),
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
        (
            format!("user_id=%FF&id={item}"),
            "invalid_user_id",
            "character",
        ),
        (
            format!("user_id=ann&id={item}%FF%FE"),
            "invalid_item_id",
            "character",
        ),
        (
            format!("user_id=an%00n&id={item}"),
            "invalid_user_id",
            "character",
        ),
        (
            format!("user_id=zo%C3%AB&id={item}"),
            "invalid_user_id",
            "character",
        ),
        (
            format!("user_id=a%7Cb&id={item}"),
            "invalid_user_id",
            "character",
        ),
        (
            format!("user_id=a%20b&id={item}"),
            "invalid_user_id",
            "character",
        ),
        (
            format!("user_id=a+b&id={item}"),
            "invalid_user_id",
            "character",
        ),
        (
            format!("user_id=%0d%0aX-Bad:1&id={item}"),
            "invalid_user_id",
            "character",
        ),
        (
            format!("user_id=ann&user_id=bob&id={item}"),
            "invalid_user_id",
            "several",
        ),
        (
            format!("user_id=ann&id={item}&id={item}"),
            "invalid_item_id",
            "several",
        ),
        (
            format!("user_id[]=ann&id={item}"),
            "invalid_user_id",
            "found none",
        ),
        (
            format!("USER_ID=ann&id={item}"),
            "invalid_user_id",
            "found none",
        ),
        (
            format!("user_id=%&id={item}"),
            "invalid_user_id",
            "character",
        ),
    ] {
        let problem = story.checkout(&query).await.problem(400, code);
        without_user += i64::from(code == "invalid_user_id");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{query}: {detail}");
    }
    for unknown in [
        "nothing",
        "-",
        "20200101T0000Z-00001",
        "..",
        "%2e%2e",
        "' OR 1=1",
    ] {
        let unknown = unknown.replace(' ', "%20").replace('\'', "%27");
        let answer = story.checkout(&format!("user_id=ann&id={unknown}")).await;
        let (status, code) = match answer.status {
            404 => (404, "unknown_item"),
            _ => (400, "invalid_item_id"),
        };
        answer.problem(status, code);
    }
    // Parameters are in the query; those in a form are not read.
    let form = "user_id=ann&id=x";
    let answer = story
        .raw(format!(
            "POST /checkout HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        ))
        .await;
    raw_problem(&answer, 400, "invalid_user_id");
    story.note_checkouts(1);
    without_user += 1;
    // What was wrong is logged as null, what was right is kept.
    story
        .stack
        .awaits_count(
            "SELECT count(*) FROM checkout_attempts WHERE user_id IS NULL",
            without_user,
        )
        .await;
    story.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_are_none_and_codes_of_others() {
    let story = Story::begin(&[]).await;
    let good = &story.code;
    let tail = good.rsplit('-').next().unwrap();
    let long = format!("CHK-{}-{tail}", "x".repeat(5_000));
    for (query, says) in [
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
        let problem = story
            .call(Method::POST, &path)
            .await
            .problem(400, "invalid_code");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{query}: {detail}");
        assert!(detail.len() < 300, "{detail}");
    }
    // Well formed, and yet nobody's: unknown, another FlashSale's, a sale that never was.
    let (daily, daily_items) = story
        .stack
        .seed("shop.daily", SignedDuration::from_mins(-5), 5)
        .await;
    let foreign = format!("CHK-{}-{tail}", daily.id);
    let never = format!("CHK-shop.hourly.20200101T0000Z-{tail}");
    let random = format!("{}{}", &good[..good.len() - 10], "0123456789");
    for code in [&foreign, &never, &random] {
        let answer = story.stack.purchase(0, code).await;
        answer.problem(404, "unknown_code");
        for what in ["checkout", "purchase"] {
            let answer = story.stack.get(0, &format!("/{what}/{code}")).await;
            answer.problem(404, "unknown_code");
        }
    }
    let item = &daily_items.get(0).unwrap().id;
    let answer = story.checkout(&format!("user_id=ann&id={item}")).await;
    answer.problem(400, "item_of_another_sale");
    for path in ["/checkout/%FF", "/purchase/%FF%FE"] {
        let answer = story.call(Method::GET, path).await;
        answer.problem(400, "invalid_path");
    }
    for path in ["/checkout/%20", "/purchase/%00", "/purchase/CHK-%2e%2e"] {
        let answer = story.call(Method::GET, path).await;
        answer.problem(400, "invalid_code");
    }
    story.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_and_one_items() {
    let story = Story::begin(&[]).await;
    let stack = &story.stack;
    let items: Vec<u32> = (1..=10).collect();
    let code = stack.fill(0, "bob", &items).await;
    let eleventh = stack.checkout(0, "bob", stack.item(11)).await;
    eleventh.problem(400, "cart_full");
    let cart = stack.get(0, &format!("/checkout/{code}")).await.json();
    assert_eq!(cart["items_count"], 10, "{cart}");
    story.nothing_changed().await;
    stack.awaits_attempts().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_sale() {
    let story = Story::begin(&[]).await;
    let stack = &story.stack;
    let ago = SignedDuration::from_hours(-2);
    let (over, items) = stack.seed("shop.hourly", ago, 5).await;
    // One that has been over for an hour, and is settled ...
    assert_eq!(stack.close_and_settle(&over.id).await, 0);
    let tail = story.code.rsplit('-').next().unwrap();
    let code = format!("CHK-{}-{tail}", over.id);
    stack
        .purchase(0, &code)
        .await
        .problem(400, "sale_not_active");
    let item = &items.get(0).unwrap().id;
    let answer = stack.checkout(0, "ann", item).await;
    answer.problem(400, "item_of_another_sale");
    // ... and one that the operator closes under its clients.
    stack.admin.end_early(&stack.sale.id).await.unwrap();
    let answer = stack.checkout(0, "bob", stack.item(1)).await;
    answer.problem(400, "sale_not_active");
    stack
        .purchase(0, &story.code)
        .await
        .problem(400, "sale_not_active");
    story.end().await;
}
