//! Puts Redis right after Postgres decided otherwise.
//!
//! Promises: afterwards Redis gives the outcome of that code, the user's slots and the items
//! of the cart as Postgres has them. It never frees what Postgres holds.

use sqlx::Row;

use crate::error::StoreError;
use crate::keys::SaleKeys;
use crate::postgres::Database;
use crate::record::{Claim, ItemOutcome, Record};
use crate::redis_cluster::{REPAIR, RedisCluster};

/// Corrects what Redis believes of `claim` to `truth`, the outcome in Postgres.
pub async fn repair(
    db: &Database,
    redis: &RedisCluster,
    claim: &Claim,
    truth: &Record,
) -> Result<(), StoreError> {
    let items: Vec<i32> = truth.results.iter().map(|r| r.idx as i32).collect();
    let believed_slots: Vec<i32> = claim
        .record
        .results
        .iter()
        .filter_map(|result| match result.outcome {
            ItemOutcome::Sold { sale_slot, .. } if sale_slot > 0 => Some(sale_slot as i32),
            _ => None,
        })
        .collect();
    let facts = read_facts(db, claim, &truth.user, items.clone(), believed_slots).await?;
    let free: Vec<i32> = items
        .into_iter()
        .filter(|idx| !facts.sold.contains(idx))
        .collect();
    let keys = SaleKeys::new(&claim.sale);
    let repaired: i64 = redis
        .eval(&REPAIR, &keys.all(), |cmd| {
            cmd.arg(claim.tail.as_str())
                .arg(truth.format())
                .arg(&truth.user)
                .arg(&facts.user_slots)
                .arg(join(&facts.sold))
                .arg(join(&free))
                .arg(join(&facts.free_sale_slots))
                .arg(facts.highest_sale_slot);
        })
        .await?;
    if repaired == 1 {
        redis.metrics().repairs.inc();
        tracing::warn!(
            sale = %claim.sale,
            user = truth.user,
            request_id = truth.request_id,
            believed = claim.record.format(),
            truth = truth.format(),
            "outcome corrected by Postgres"
        );
    }
    Ok(())
}

struct Facts {
    user_slots: String,
    highest_sale_slot: i32,
    sold: Vec<i32>,
    free_sale_slots: Vec<i32>,
}

async fn read_facts(
    db: &Database,
    claim: &Claim,
    user: &str,
    items: Vec<i32>,
    believed_slots: Vec<i32>,
) -> Result<Facts, StoreError> {
    let (sale, user) = (claim.sale.to_string(), user.to_owned());
    db.run("read_order", |connection| {
        Box::pin(async move {
            let row = sqlx::query(include_str!("sql/repair_facts.sql"))
                .bind(sale)
                .bind(user)
                .bind(items)
                .bind(believed_slots)
                .fetch_one(connection)
                .await?;
            Ok(Facts {
                user_slots: row.try_get("user_slots")?,
                highest_sale_slot: row.try_get("highest_sale_slot")?,
                sold: row.try_get("sold")?,
                free_sale_slots: row.try_get("free_sale_slots")?,
            })
        })
    })
    .await
}

fn join(numbers: &[i32]) -> String {
    let texts: Vec<String> = numbers.iter().map(i32::to_string).collect();
    texts.join(",")
}
