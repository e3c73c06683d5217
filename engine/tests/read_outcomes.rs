//! Reads of outcomes early in a sale, when Postgres has no statistics of its tables yet.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;

use flashsale_engine::postgres::operations::Postgres as _;
use flashsale_engine::{Certificates, CheckoutCode, Limits, Metrics, PostgresPool, SystemClock};
use support::Stack;

const ORDERS: usize = 2_000;
const READ: usize = 200;

/// Orders of one item each.
fn insert_orders(stack: &Stack, sale: &str) -> Vec<CheckoutCode> {
    let code = format!("'CHK-{sale}-' || lpad(n::text, 22, '0')");
    let insert = format!(
        "WITH n AS (SELECT generate_series(0, {ORDERS} - 1) AS n), p AS ( \
             INSERT INTO purchases (sale_id, item_idx, user_id, user_slot, code, purchased_at) \
             SELECT '{sale}', n, 'user-' || n, 1, {code}, now() FROM n) \
         INSERT INTO orders \
         SELECT {code}, '{sale}', 'user-' || n, ARRAY[n], ARRAY['sold'], 'r', now() FROM n"
    );
    stack.postgres.query(&insert).unwrap();
    let codes = stack.postgres.query("SELECT code FROM orders").unwrap();
    let codes = codes.lines().map(|code| CheckoutCode::parse(code).unwrap());
    codes.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_a_code_is_found_by_keys() {
    let stack = Stack::start().await;
    let limits = Limits {
        per_user: 10,
        per_checkout: 10,
        total: ORDERS as u32,
    };
    let sale = stack.sale(ORDERS as u32, limits);
    stack.seed(&sale).await;
    let metrics = Arc::new(Metrics::new().unwrap());
    let url = stack.postgres.url();
    let pool =
        PostgresPool::connect(&url, &Certificates::NONE, 1, metrics, SystemClock::clock()).await;
    let pool = pool.unwrap();
    // A plan that was made while the tables were empty is used for the rest of the sale.
    for _ in 0..10 {
        assert!(pool.read_outcomes(&[]).await.unwrap().is_empty());
    }
    let codes = insert_orders(&stack, sale.id.as_str());
    let outcomes = pool.read_outcomes(&codes[..READ]).await.unwrap();
    assert_eq!(outcomes.len(), READ);
    assert!(outcomes.values().all(|outcome| outcome.sold_count() == 1));
    drop(pool);

    let reads = "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) \
                   FROM pg_stat_user_tables WHERE relname = 'purchases'";
    support::eventually("the end of the session adds its counts", || async {
        stack.postgres.query(reads).unwrap() != "0"
    })
    .await;
    assert_eq!(stack.postgres.query(reads).unwrap(), READ.to_string());
}
