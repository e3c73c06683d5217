//! Inserts into the tables `orders` and `purchases`, which are written together.
//!
//! Guarantees: every transaction takes keys in one order, first those of its orders by code, then
//! those of its purchases by item. Processes that commit the same claims at the same time wait for
//! one another, and do not deadlock.

use crate::domain::error::BackendError;
use crate::domain::outcome::{Claim, ItemOutcome, ItemResult, ItemResultKind, Outcome};
use crate::postgres::page::as_i32;
use crate::postgres::pool::PostgresPool;
use crate::postgres::session::Session;

/// How often one item of a claim is tried against purchases that come in between. How often a whole
/// claim is tried is in [`crate::postgres::commit`].
const TRIES_PER_ITEM: u32 = 5;

/// The arrays of `insert_orders.sql`.
#[derive(Default)]
struct OrderColumns {
    codes: Vec<String>,
    sales: Vec<String>,
    users: Vec<String>,
    items: Vec<String>,
    results: Vec<String>,
    request_ids: Vec<String>,
    at_ms: Vec<i64>,
    purchases: PurchaseColumns,
}

/// The arrays of what the orders bought.
#[derive(Default)]
struct PurchaseColumns {
    codes: Vec<String>,
    sales: Vec<String>,
    users: Vec<String>,
    items: Vec<i32>,
    user_slots: Vec<i32>,
    sale_slots: Vec<i32>,
    at_ms: Vec<i64>,
}

impl OrderColumns {
    fn push(&mut self, claim: &Claim) {
        let outcome = &claim.outcome;
        let items: Vec<String> = outcome.kinds().map(|(idx, _)| idx.to_string()).collect();
        let words: Vec<&str> = outcome.kinds().map(|(_, kind)| kind.as_str()).collect();
        self.codes.push(claim.code.to_string());
        self.sales.push(claim.sale().to_string());
        self.users.push(outcome.user.clone());
        self.items.push(items.join(","));
        self.results.push(words.join(","));
        self.request_ids.push(outcome.request_id.clone());
        self.at_ms.push(outcome.at_ms);
    }

    async fn insert(self, session: &mut Session) -> Result<(), sqlx::Error> {
        sqlx::query(include_str!("sql/insert_orders.sql"))
            .bind(self.codes)
            .bind(self.sales)
            .bind(self.users)
            .bind(self.items)
            .bind(self.results)
            .bind(self.request_ids)
            .bind(self.at_ms)
            .bind(self.purchases.codes)
            .bind(self.purchases.sales)
            .bind(self.purchases.users)
            .bind(self.purchases.items)
            .bind(self.purchases.user_slots)
            .bind(self.purchases.sale_slots)
            .bind(self.purchases.at_ms)
            .execute(session)
            .await
            .map(drop)
    }
}

impl PurchaseColumns {
    fn push(&mut self, claim: &Claim, idx: u32, (user_slot, sale_slot): (u32, u32)) {
        self.codes.push(claim.code.to_string());
        self.sales.push(claim.sale().to_string());
        self.users.push(claim.outcome.user.clone());
        self.items.push(as_i32(idx));
        self.user_slots.push(as_i32(user_slot));
        self.sale_slots.push(as_i32(sale_slot));
        self.at_ms.push(claim.outcome.at_ms);
    }
}

/// The rows of claims, in the order of their keys.
fn columns(claims: &[&Claim]) -> OrderColumns {
    let mut claims = claims.to_vec();
    claims.sort_unstable_by_key(|claim| (claim.sale().as_str(), claim.code.suffix));
    let mut columns = OrderColumns::default();
    let mut bought = Vec::new();
    for claim in claims {
        columns.push(claim);
        for result in &claim.outcome.results {
            if let ItemOutcome::Sold {
                user_slot,
                sale_slot,
            } = result.outcome
            {
                bought.push((claim, result.idx, (user_slot, sale_slot)));
            }
        }
    }
    bought.sort_by_key(|(claim, idx, _)| (claim.sale().as_str(), *idx));
    for (claim, idx, slots) in bought {
        columns.purchases.push(claim, idx, slots);
    }
    columns
}

/// Inserts the orders and purchases of claims in one statement, all or none.
pub(super) async fn insert(pool: &PostgresPool, claims: &[&Claim]) -> Result<(), BackendError> {
    let columns = columns(claims);
    pool.run("commit_orders", move |session| {
        Box::pin(async move { columns.insert(session).await })
    })
    .await
}

/// Inserts the order of one claim item by item, at the lowest free slots.
pub(super) async fn insert_by_item(
    pool: &PostgresPool,
    claim: &Claim,
) -> Result<Outcome, BackendError> {
    let claim = claim.clone();
    pool.run_in_transaction("resolve_order", move |session| {
        Box::pin(async move { insert_in_transaction(session, &claim).await })
    })
    .await
}

async fn insert_in_transaction(
    session: &mut Session,
    claim: &Claim,
) -> Result<Outcome, sqlx::Error> {
    insert_order(session, claim).await?;
    let mut outcome = claim.outcome.clone();
    let mut results: Vec<&mut ItemResult> = outcome.results.iter_mut().collect();
    results.sort_by_key(|result| result.idx);
    for result in results {
        if result.outcome.kind() == ItemResultKind::Sold {
            result.outcome = insert_purchase(session, claim, result.idx).await?;
        }
    }
    if !outcome.kinds().eq(claim.outcome.kinds()) {
        let words: Vec<&str> = outcome.kinds().map(|(_, kind)| kind.as_str()).collect();
        sqlx::query(include_str!("sql/update_results_of_order.sql"))
            .bind(claim.code.to_string())
            .bind(words)
            .execute(session)
            .await?;
    }
    Ok(outcome)
}

async fn insert_order(session: &mut Session, claim: &Claim) -> Result<(), sqlx::Error> {
    let outcome = &claim.outcome;
    let items: Vec<i32> = outcome.kinds().map(|(idx, _)| as_i32(idx)).collect();
    let words: Vec<&str> = outcome.kinds().map(|(_, kind)| kind.as_str()).collect();
    sqlx::query(include_str!("sql/insert_order_of_one_claim.sql"))
        .bind(claim.code.to_string())
        .bind(claim.sale().as_str())
        .bind(&outcome.user)
        .bind(items)
        .bind(words)
        .bind(&outcome.request_id)
        .bind(outcome.at_ms)
        .execute(session)
        .await
        .map(drop)
}

async fn insert_purchase(
    session: &mut Session,
    claim: &Claim,
    idx: u32,
) -> Result<ItemOutcome, sqlx::Error> {
    for _ in 0..TRIES_PER_ITEM {
        let sql = include_str!("sql/insert_purchase_at_free_slots.sql");
        let slots: Option<(i32, i32)> = sqlx::query_as(sql)
            .bind(claim.sale().as_str())
            .bind(as_i32(idx))
            .bind(&claim.outcome.user)
            .bind(claim.code.to_string())
            .bind(claim.outcome.at_ms)
            .fetch_optional(&mut *session)
            .await?;
        if let Some((user_slot, sale_slot)) = slots {
            return Ok(ItemOutcome::Sold {
                user_slot: user_slot.unsigned_abs(),
                sale_slot: sale_slot.unsigned_abs(),
            });
        }
        let sql = include_str!("sql/has_room_for_purchase.sql");
        let (taken, room): (bool, bool) = sqlx::query_as(sql)
            .bind(claim.sale().as_str())
            .bind(as_i32(idx))
            .bind(&claim.outcome.user)
            .fetch_one(&mut *session)
            .await?;
        if taken {
            return Ok(ItemOutcome::AlreadySold);
        }
        if !room {
            break;
        }
    }
    Ok(ItemOutcome::LimitReached)
}
