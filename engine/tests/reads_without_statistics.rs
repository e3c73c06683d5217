//! Reads early in a sale, when Postgres has no statistics of its tables yet.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;

use flashsale_engine::postgres::operations::{PAGE, Postgres as _};
use flashsale_engine::{
    Certificates, CheckoutCode, CodeSuffix, Limits, Metrics, PostgresPool, SystemClock,
};
use support::Stack;

const ORDERS: usize = 2_000;
const READ: usize = 200;

/// So many that a restoration reads three pages.
const ORDERS_OF_PAGES: usize = 2 * PAGE + PAGE / 2;

/// Counts of the set-up do not count.
fn reset_counts(stack: &Stack) {
    let reset = "SELECT pg_stat_reset_single_table_counters(oid)::text FROM pg_class \
                  WHERE relname IN ('purchases', 'orders', 'items')";
    stack.postgres.query(reset).unwrap();
}

/// Orders of one item each.
fn insert_orders(stack: &Stack, sale: &str, count: usize) -> Vec<CheckoutCode> {
    let code = format!("'CHK-{sale}-' || lpad(n::text, 22, '0')");
    let insert = format!(
        "WITH n AS (SELECT generate_series(0, {count} - 1) AS n), p AS ( \
             INSERT INTO purchases (sale_id, item_idx, user_id, user_slot, code, purchased_at) \
             SELECT '{sale}', n, 'user-' || n, 1, {code}, now() FROM n) \
         INSERT INTO orders \
         SELECT {code}, '{sale}', 'user-' || n, ARRAY[n], ARRAY['sold'], 'r', now() FROM n"
    );
    stack.postgres.query(&insert).unwrap();
    let codes = stack.postgres.query("SELECT code FROM orders").unwrap();
    reset_counts(stack);
    let codes = codes.lines().map(|code| CheckoutCode::parse(code).unwrap());
    codes.collect()
}

fn limits(total: usize) -> Limits {
    Limits {
        per_user: 10,
        per_checkout: 10,
        total: total as u32,
    }
}

/// A pool of one connection: a plan that was made while the tables were empty is used for the rest of
/// the sale.
async fn pool(stack: &Stack) -> PostgresPool {
    let metrics = Arc::new(Metrics::new().unwrap());
    let url = stack.postgres.url();
    PostgresPool::connect(&url, &Certificates::NONE, 1, metrics, SystemClock::clock())
        .await
        .unwrap()
}

/// How many rows of a table were read, once the session that read them has ended.
async fn rows_read(stack: &Stack, table: &str) -> String {
    let reads = format!(
        "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) \
           FROM pg_stat_user_tables WHERE relname = '{table}'"
    );
    support::eventually("the end of the session adds its counts", || async {
        stack.postgres.query(&reads).unwrap() != "0"
    })
    .await;
    stack.postgres.query(&reads).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settler_finds_the_orders_of_claims_by_keys() {
    let stack = Stack::start().await;
    let sale = stack.sale(ORDERS as u32, limits(ORDERS));
    stack.seed(&sale).await;
    let pool = pool(&stack).await;
    let unknown = CheckoutCode::format(&sale.id, &CodeSuffix::parse(&"0".repeat(22)).unwrap());
    let unknown = CheckoutCode::parse(&unknown).unwrap();
    for _ in 0..10 {
        let kinds = pool.read_result_kinds(std::slice::from_ref(&unknown)).await;
        assert!(kinds.unwrap().is_empty());
    }
    let codes = insert_orders(&stack, sale.id.as_str(), ORDERS);
    let kinds = pool.read_result_kinds(&codes[..READ]).await.unwrap();
    assert_eq!(kinds.len(), READ);
    drop(pool);
    assert_eq!(rows_read(&stack, "orders").await, READ.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_a_code_is_found_by_keys() {
    let stack = Stack::start().await;
    let sale = stack.sale(ORDERS as u32, limits(ORDERS));
    stack.seed(&sale).await;
    let pool = pool(&stack).await;
    for _ in 0..10 {
        assert!(pool.read_outcomes(&[]).await.unwrap().outcomes.is_empty());
    }
    let codes = insert_orders(&stack, sale.id.as_str(), ORDERS);
    let found = pool.read_outcomes(&codes[..READ]).await.unwrap();
    let outcomes = found.outcomes;
    assert_eq!(outcomes.len(), READ);
    assert!(outcomes.values().all(|outcome| outcome.sold_count() == 1));
    drop(pool);
    assert_eq!(rows_read(&stack, "purchases").await, READ.to_string());
    assert_eq!(rows_read(&stack, "orders").await, READ.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_carts_of_a_restoration_take_the_items_of_unbought_carts_alone() {
    let stack = Stack::start().await;
    let sale = stack.sale(ORDERS as u32, limits(ORDERS));
    stack.seed(&sale).await;
    let pool = pool(&stack).await;
    for _ in 0..10 {
        assert!(pool.read_carts(&sale, 0).await.unwrap().is_empty());
    }
    let bought = ORDERS - READ;
    insert_orders(&stack, sale.id.as_str(), bought);
    let id = &sale.id;
    let insert = format!(
        "INSERT INTO attempts \
         SELECT now(), gen_random_uuid(), number_of_flash_sale('{flash_sale}'), \
                minute_of_sale('{id}'), 0, lpad(idx::text, 22, '0'), 'user-' || idx, i.id, 'r' \
           FROM items i WHERE sale_id = '{id}'",
        flash_sale = id.flash_sale(),
    );
    stack.postgres.query(&insert).unwrap();
    reset_counts(&stack);

    let carts = pool.read_carts(&sale, 0).await.unwrap();
    let mut items: Vec<usize> = carts
        .iter()
        .map(|c| c.cart.items.parse().unwrap())
        .collect();
    items.sort_unstable();
    assert!(items.into_iter().eq(bought..ORDERS));
    drop(pool);
    assert_eq!(rows_read(&stack, "items").await, READ.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_restoration_read_each_row_once() {
    let stack = Stack::start().await;
    let sale = stack.sale(ORDERS_OF_PAGES as u32, limits(ORDERS_OF_PAGES));
    stack.seed(&sale).await;
    insert_orders(&stack, sale.id.as_str(), ORDERS_OF_PAGES);

    let of_purchases = pool(&stack).await;
    let mut purchases = Vec::new();
    loop {
        let from = purchases.len() as u32;
        let page = of_purchases.read_purchases(&sale.id, from).await.unwrap();
        purchases.extend(page.iter().map(|purchase| purchase.idx));
        if page.len() < PAGE {
            break;
        }
    }
    assert!(purchases.into_iter().eq(0..ORDERS_OF_PAGES as u32));
    drop(of_purchases);
    let read = rows_read(&stack, "purchases").await;
    assert_eq!(read, ORDERS_OF_PAGES.to_string());

    let of_orders = pool(&stack).await;
    let (mut orders, mut after) = (0, None);
    loop {
        let page = of_orders.read_sale_outcomes(&sale.id, after.as_ref()).await;
        let page = page.unwrap();
        orders += page.len();
        after = page.last().map(|(suffix, _)| *suffix);
        if page.len() < PAGE {
            break;
        }
    }
    assert_eq!(orders, ORDERS_OF_PAGES);
    drop(of_orders);
    assert_eq!(
        rows_read(&stack, "orders").await,
        ORDERS_OF_PAGES.to_string()
    );
}
