//! The rows that the real system writes.

use sqlx::PgPool;

use super::{PER_CHECKOUT, PER_USER, SALE};

/// An answered checkout.
pub struct Attempt {
    pub user: String,
    pub item: String,
    pub code: Option<String>,
    pub outcome: &'static str,
    pub request_id: String,
}

impl Attempt {
    pub async fn log(&self, pool: &PgPool) {
        sqlx::query(
            "INSERT INTO checkout_attempts (attempt_id, attempted_at, sale_id, user_id, \
             item_id, code, outcome, request_id) \
             VALUES (gen_random_uuid(), now(), $1, $2, $3, $4, $5, $6)",
        )
        .bind(SALE)
        .bind(&self.user)
        .bind(&self.item)
        .bind(&self.code)
        .bind(self.outcome)
        .bind(&self.request_id)
        .execute(pool)
        .await
        .unwrap();
    }
}

pub async fn store(
    pool: &PgPool,
    code: &str,
    user: &str,
    results: &[(u32, &str)],
    first_slot: usize,
    request_id: &str,
) {
    let items: Vec<i32> = results.iter().map(|(item, _)| *item as i32).collect();
    let words: Vec<String> = results.iter().map(|(_, word)| (*word).to_owned()).collect();
    let mut transaction = pool.begin().await.unwrap();
    sqlx::query("INSERT INTO orders VALUES ($1, $2, $3, $4, $5, $6, now())")
        .bind(code)
        .bind(SALE)
        .bind(user)
        .bind(&items)
        .bind(&words)
        .bind(request_id)
        .execute(&mut *transaction)
        .await
        .unwrap();
    let sold = results.iter().filter(|(_, word)| *word == "sold");
    for (slot, (item, _)) in (first_slot..).zip(sold) {
        sqlx::query("INSERT INTO purchases VALUES ($1, $2, $3, $4, NULL, $5, now())")
            .bind(SALE)
            .bind(*item as i32)
            .bind(user)
            .bind(slot as i32)
            .bind(code)
            .execute(&mut *transaction)
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
}

/// Puts the fake API's sale and catalogue into a database that has the tables.
pub async fn seed(pool: &PgPool, items: u32) {
    sqlx::query(
        "INSERT INTO sales (id, flash_sale, starts_at, ends_at, total_items, per_user, \
         per_checkout, total_limit, partitions) \
         VALUES ($1, 'default.test', now(), now() + interval '1 hour', $2, $3, $4, $2, 16)",
    )
    .bind(SALE)
    .bind(items as i32)
    .bind(PER_USER as i32)
    .bind(PER_CHECKOUT as i32)
    .execute(pool)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO items SELECT $1, n - 1, '20261123T0800Z-' || lpad(n::text, 5, '0'), 'x', '' \
         FROM generate_series(1, $2) AS n",
    )
    .bind(SALE)
    .bind(items as i32)
    .execute(pool)
    .await
    .unwrap();
}
