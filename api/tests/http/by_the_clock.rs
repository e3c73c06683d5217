//! Sales that follow each other by the clock, while nobody but the API process is there.

use flashsale_engine::{Catalog, Sale, Window};
use jiff::{SignedDuration, Timestamp};

use super::support::{Answer, Stack, limits};

const FLASH_SALE: &str = "shop.brief";
const LENGTH: SignedDuration = SignedDuration::from_secs(2);

/// Redis looks at its clock before each round of commands, and in milliseconds.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_millis(5);

/// What a checkout of an item of `sale` comes to where `selling` sells.
fn expected(selling: Option<&Sale>, sale: &Sale) -> (u16, &'static str) {
    match selling {
        None => (400, "sale_not_active"),
        Some(active) if active.id == sale.id => (200, ""),
        Some(_) => (400, "item_of_another_sale"),
    }
}

fn found(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    let code = body["code"].as_str().filter(|_| answer.status != 200);
    (answer.status, code.unwrap_or_default().to_owned())
}

/// Two sales, the second of which begins when the first ends; then nothing; then a third.
/// Every answer is that of its moment.
#[tokio::test(flavor = "multi_thread")]
async fn sales_open_and_close_and_follow_each_other_by_the_clock() {
    let mut stack = Stack::start(5, limits(5), 0).await;
    let first_start = Timestamp::now() + SignedDuration::from_secs(4);
    let mut sales: Vec<(Sale, Catalog)> = Vec::new();
    for (n, starts_at) in [first_start, first_start + LENGTH, first_start + LENGTH * 3]
        .into_iter()
        .enumerate()
    {
        // Ids have minutes, and these sales are too short for minutes of their own.
        let minute = SignedDuration::from_mins(n as i64);
        let sold = stack.seed_as(FLASH_SALE, minute, 200, |sale| {
            let ends_at = starts_at + LENGTH;
            sale.window = Window { starts_at, ends_at };
        });
        sales.push(sold.await);
    }
    let api = stack.start_api_with(&["--flash-sale", FLASH_SALE]).await;
    assert!(Timestamp::now() < first_start, "too slow to see it open");
    let selling_at = |at: Timestamp| {
        let mut all = sales.iter().map(|(sale, _)| sale);
        all.find(|sale| sale.window.contains(at))
    };

    let over = sales[2].0.window.ends_at + SignedDuration::from_millis(300);
    let mut seen = Vec::new();
    let mut codes = [const { String::new() }; 3];
    let mut n = 0;
    while Timestamp::now() < over {
        let (sale, catalog) = &sales[n % 3];
        let item = &catalog.get((n / 3) as u32 % 200).unwrap().id;
        let before = Timestamp::now();
        let answer = stack.checkout(api, &format!("user-{n}"), item).await;
        let after = Timestamp::now();
        let found = found(&answer);
        let around = [before - CLOCKS_DIFFER, after + CLOCKS_DIFFER].map(selling_at);
        let mut possible = around.map(|selling| expected(selling, sale)).to_vec();
        if around[0] != around[1] {
            // At the very moment of a change the process may send a cart to a sale that by the
            // clock of Redis, which decides, is over already or has not begun.
            possible.push(expected(None, sale));
        }
        assert!(
            possible.contains(&(found.0, found.1.as_str())),
            "{found:?} between {before} and {after}, expected one of {possible:?} of {sales:?}"
        );
        if answer.status == 200 {
            codes[n % 3] = answer.json()["code"].as_str().unwrap().to_owned();
        }
        let what = (around[0].map(|sale| &sale.id), found.0);
        if around[0] == around[1] && !seen.contains(&what) {
            seen.push(what);
        }
        n += 1;
    }
    // Before, in each of the three, between, and after: each was looked at.
    let [a, b, c] = [0, 1, 2].map(|n| Some(&sales[n].0.id));
    for what in [
        (None, 400),
        (a, 200),
        (a, 400),
        (b, 200),
        (b, 400),
        (c, 200),
    ] {
        assert!(seen.contains(&what), "{what:?} is not among {seen:?}");
    }

    // What was not bought in time is too late, also where nobody has closed the sale.
    for code in &codes {
        let late = stack.purchase(api, code).await;
        late.problem(400, "sale_not_active");
    }
    let sold: i64 = stack.sql("SELECT count(*) FROM purchases").await;
    assert_eq!(sold, 0);
    stack.awaits_attempts().await;
}
