//! Many users, few items, two processes: nothing is sold twice, and everything is sold.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use support::{Stack, limits};
use tokio::sync::Semaphore;

const ITEMS: u32 = 100;
const USERS: u32 = 2_000;

/// Users who try to buy far more items than their limit.
const GREEDY: u32 = 8;

/// The maximum of calls at once: each needs a connection of the test.
const AT_ONCE: usize = 300;

#[derive(Debug, Default)]
struct Seen {
    /// Calls of POST /checkout that were answered.
    attempts: i64,
    /// Items that answers of POST /purchase named as bought.
    bought: Vec<String>,
}

async fn fill_and_buy(stack: &Stack, gate: &Semaphore, user: u32, picks: &[u32], seen: &mut Seen) {
    let name = format!("user-{user}");
    let api = (user % 2) as usize;
    let mut code = None;
    for pick in picks {
        let permit = gate.acquire().await.unwrap();
        let answer = stack.checkout(api, &name, stack.item(*pick)).await;
        drop(permit);
        seen.attempts += 1;
        match answer.status {
            200 => code = answer.json()["code"].as_str().map(str::to_owned),
            400 => drop(answer.problem(400, "limit_reached")),
            409 => drop(answer.problem(409, "already_sold")),
            other => panic!("status {other}: {answer:?}"),
        }
    }
    let Some(code) = code else { return };
    let permit = gate.acquire().await.unwrap();
    // The cart was filled at one process and is bought at the other.
    let answer = stack.purchase(1 - api, &code).await;
    drop(permit);
    match answer.status {
        200 => {
            let body = answer.json();
            let items = body["purchased_items"].as_array().unwrap();
            assert_eq!(body["total_purchased"], items.len());
            let ids = items
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned());
            seen.bought.extend(ids);
        }
        400 => drop(answer.problem(400, "limit_reached")),
        409 => drop(answer.problem(409, "already_sold")),
        other => panic!("status {other}: {answer:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_users_race_for_a_hundred_items() {
    let stack = Arc::new(Stack::start_on(3, 0, ITEMS, limits(ITEMS), 2).await);
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let races: Vec<_> = (0..USERS)
        .map(|user| {
            let (stack, gate) = (stack.clone(), gate.clone());
            tokio::spawn(async move {
                let mut seen = Seen::default();
                let carts = if user < GREEDY { 5 } else { 1 };
                for cart in 0..carts {
                    let start = user * 13 + cart * 5;
                    let picks: Vec<u32> = (0..5).map(|n| (start + n) % ITEMS).collect();
                    let picks = if user < GREEDY {
                        &picks[..]
                    } else {
                        &picks[..2]
                    };
                    fill_and_buy(&stack, &gate, user, picks, &mut seen).await;
                }
                seen
            })
        })
        .collect();
    let mut all = Seen::default();
    for race in races {
        let seen = race.await.unwrap();
        all.attempts += seen.attempts;
        all.bought.extend(seen.bought);
    }

    // Responses: every item once.
    let distinct: BTreeSet<&String> = all.bought.iter().collect();
    assert_eq!((all.bought.len(), distinct.len()), (100, 100));
    // Postgres: the same, and no user above the limit.
    let purchases: i64 = stack.sql("SELECT count(*) FROM purchases").await;
    assert_eq!(purchases, 100);
    let most: i64 = stack
        .sql("SELECT max(n) FROM (SELECT count(*) AS n FROM purchases GROUP BY user_id) AS u")
        .await;
    assert!((1..=10).contains(&most), "{most}");
    let in_orders: i64 = stack
        .sql(
            "SELECT count(*) FROM orders o, UNNEST(o.items, o.results) AS i (idx, result) \
             JOIN purchases p ON p.item_idx = i.idx \
             WHERE i.result = 'sold' AND p.code = o.code AND p.user_id = o.user_id",
        )
        .await;
    assert_eq!(in_orders, 100, "orders and purchases agree");
    stack
        .awaits_count("SELECT count(*) FROM checkout_attempts", all.attempts)
        .await;
    // Redis: the audit at the close compares both item by item.
    assert_eq!(stack.close_and_settle(&stack.sale.id).await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_purchases_of_one_code_at_once_are_one_order_and_fifty_equal_answers() {
    let stack = Arc::new(Stack::start(ITEMS, limits(ITEMS), 2).await);
    let code = stack.fill(0, "ann", &[3, 1, 4]).await;
    let calls: Vec<_> = (0..50)
        .map(|n| {
            let (stack, code) = (stack.clone(), code.clone());
            tokio::spawn(async move { stack.purchase(n % 2, &code).await })
        })
        .collect();
    let mut bodies = BTreeMap::<String, u32>::new();
    let mut first = 0;
    for call in calls {
        let answer = call.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        if answer.header("idempotent-replayed").is_none() {
            first += 1;
        }
        *bodies.entry(answer.text().to_owned()).or_default() += 1;
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(first, 1, "one request decided, the others replayed");
    let orders: i64 = stack.sql("SELECT count(*) FROM orders").await;
    let purchases: i64 = stack.sql("SELECT count(*) FROM purchases").await;
    assert_eq!((orders, purchases), (1, 3));
}
