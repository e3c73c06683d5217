//! Brings Redis to what Postgres has: the last part of seeding, and the whole of a rebuild.
//!
//! Promises: can be run at any time, by several processes at once, and after a crash in its
//! middle; only adds what Postgres has; makes the sale ready last, so that scripts refuse
//! until it is whole.

use std::time::Duration;

use crate::code::CodeTail;
use crate::error::StoreError;
use crate::keys::{PartitionKeys, SaleKeys, registry};
use crate::postgres::Database;
use crate::redis_cluster::{CLOSE, RESTORE, RESTORE_CARTS, RedisCluster, SEED};
use crate::sale::{Sale, SaleId};
use crate::sales::{self, PAGE, SaleRecord};
use crate::settle::make_group;

/// Rows that one script call merges: some tens of thousands of Redis operations would hold
/// the slot for too long.
const CHUNK: usize = 500;

/// Whether Redis holds the whole sale.
pub async fn is_whole(redis: &RedisCluster, sale: &Sale) -> Result<bool, StoreError> {
    let ready = |key: &str| {
        let mut cmd = redis::cmd("HEXISTS");
        cmd.arg(key).arg("ready");
        cmd
    };
    if !redis
        .run::<bool>("registry", &ready(&SaleKeys::new(&sale.id).meta))
        .await?
    {
        return Ok(false);
    }
    for partition in 0..sale.partitions {
        let keys = PartitionKeys::new(&sale.id, partition);
        if !redis.run::<bool>("registry", &ready(&keys.meta)).await? {
            return Ok(false);
        }
    }
    let mut cmd = redis::cmd("HEXISTS");
    cmd.arg(registry(sale.id.flash_sale()))
        .arg(sale.id.as_str());
    redis.run("registry", &cmd).await
}

/// Merges everything that Postgres has of a sale into Redis and makes it ready.
pub async fn restore(
    db: &Database,
    redis: &RedisCluster,
    record: &SaleRecord,
) -> Result<(), StoreError> {
    let sale = &record.sale;
    let keys = SaleKeys::new(&sale.id);
    restore_purchases(db, redis, sale, &keys).await?;
    restore_outcomes(db, redis, sale, &keys).await?;
    restore_carts(db, redis, sale).await?;
    make_group(redis, &keys.events).await?;
    make_ready(redis, record, &keys).await?;
    register(redis, sale).await
}

async fn restore_purchases(
    db: &Database,
    redis: &RedisCluster,
    sale: &Sale,
    keys: &SaleKeys,
) -> Result<(), StoreError> {
    type Row = (i32, String, i32, i32);
    let sql = include_str!("sql/read_purchases.sql");
    let mut from = 0;
    loop {
        let page: Vec<Row> = sales::page(db, "audit", sql, &sale.id, from).await?;
        for chunk in page.chunks(CHUNK) {
            let touched = [keys.meta.as_str(), &keys.sold, &keys.bought];
            redis
                .eval::<i64>(&RESTORE, &touched, |cmd| {
                    for (idx, user, user_slot, sale_slot) in chunk {
                        cmd.arg(idx).arg(user).arg(user_slot).arg(sale_slot);
                    }
                })
                .await?;
        }
        match page.last() {
            Some((idx, ..)) if page.len() == PAGE => from = idx + 1,
            _ => return Ok(()),
        }
    }
}

async fn restore_outcomes(
    db: &Database,
    redis: &RedisCluster,
    sale: &Sale,
    keys: &SaleKeys,
) -> Result<(), StoreError> {
    let sql = include_str!("sql/read_sale_orders.sql");
    // Codes are `CHK-<sale>-<tail>`: this is before all of them.
    let mut behind = format!("CHK-{}-", sale.id);
    loop {
        let from = behind.clone();
        let page: Vec<(String, String)> = sales::page(db, "audit", sql, &sale.id, from).await?;
        for chunk in page.chunks(CHUNK) {
            let mut cmd = redis::cmd("HSET");
            cmd.arg(&keys.outcomes);
            for (code, record) in chunk {
                cmd.arg(tail_of(code)).arg(record);
            }
            redis.run::<i64>("restore", &cmd).await?;
        }
        match page.last() {
            Some((code, _)) if page.len() == PAGE => behind = code.clone(),
            _ => return Ok(()),
        }
    }
}

/// Carts are not durable, but whoever holds a code should not have to start again: the log of
/// attempts still has what was added.
async fn restore_carts(db: &Database, redis: &RedisCluster, sale: &Sale) -> Result<(), StoreError> {
    let id = sale.id.to_string();
    let (from, to) = (
        sale.window.starts_at.as_microsecond(),
        sale.window.ends_at.as_microsecond(),
    );
    let carts: Vec<(String, String, String, bool)> = db
        .run_long("audit", move |connection| {
            Box::pin(async move {
                sqlx::query_as(include_str!("sql/read_carts.sql"))
                    .bind(id)
                    .bind(from)
                    .bind(to)
                    .fetch_all(connection)
                    .await
            })
        })
        .await?;
    let mut by_partition: Vec<Vec<(String, String, String, bool)>> =
        vec![Vec::new(); usize::from(sale.partitions)];
    for (code, user, items, latest) in carts {
        let Some(tail) = CodeTail::parse(tail_of(&code)) else {
            continue;
        };
        if let Some(partition) = by_partition.get_mut(usize::from(tail.partition())) {
            partition.push((tail.as_str().to_owned(), user, items, latest));
        }
    }
    for (partition, carts) in by_partition.iter().enumerate() {
        let keys = PartitionKeys::new(&sale.id, partition as u16);
        for chunk in carts.chunks(CHUNK) {
            redis
                .eval::<i64>(&RESTORE_CARTS, &[&keys.carts, &keys.codes], |cmd| {
                    for (tail, user, items, latest) in chunk {
                        cmd.arg(tail)
                            .arg(user)
                            .arg(items)
                            .arg(if *latest { "o" } else { "f" });
                    }
                })
                .await?;
        }
    }
    Ok(())
}

async fn make_ready(
    redis: &RedisCluster,
    record: &SaleRecord,
    keys: &SaleKeys,
) -> Result<(), StoreError> {
    let sale = &record.sale;
    let epoch = format!("{:016x}", rand::random::<u64>());
    let starts_ms = sale.window.starts_at.as_millisecond();
    let ends_ms = sale.window.ends_at.as_millisecond();
    for partition in 0..sale.partitions {
        let keys = PartitionKeys::new(&sale.id, partition);
        make_group(redis, &keys.attempts).await?;
        redis
            .eval::<i64>(&SEED, &[&keys.meta], |cmd| {
                cmd.arg(&epoch)
                    .arg("starts_ms")
                    .arg(starts_ms)
                    .arg("ends_ms")
                    .arg(ends_ms)
                    .arg("per_checkout")
                    .arg(sale.limits.per_checkout);
            })
            .await?;
    }
    redis
        .eval::<i64>(&SEED, &[&keys.meta], |cmd| {
            cmd.arg(&epoch)
                .arg("starts_ms")
                .arg(starts_ms)
                .arg("ends_ms")
                .arg(ends_ms)
                .arg("per_user")
                .arg(sale.limits.per_user)
                .arg("total")
                .arg(sale.limits.total)
                .arg("numbered")
                .arg(u8::from(sale.needs_sale_slots()));
        })
        .await?;
    if record.closed_at.is_some() {
        close(redis, sale, CloseWhen::Now).await?;
    }
    Ok(())
}

/// When a sale may be stopped in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseWhen {
    /// Once its window has ended, by the clock of Redis, which decides who buys.
    Ended,
    /// Now, whatever its window says.
    Now,
}

/// Stops a sale in Redis. Answers for how long its window is still open, where that kept it from
/// being stopped. A sale that Redis does not hold sells nothing, and counts as stopped.
pub async fn close(
    redis: &RedisCluster,
    sale: &Sale,
    when: CloseWhen,
) -> Result<Option<Duration>, StoreError> {
    // The slot that decides comes first: from then on nothing is claimed.
    let open_ms = close_one(redis, &SaleKeys::new(&sale.id).meta, when).await?;
    if open_ms > 0 {
        return Ok(Some(Duration::from_millis(open_ms)));
    }
    for partition in 0..sale.partitions {
        // It takes no claims any more, so a cart may be stopped whatever its node's clock says.
        let keys = PartitionKeys::new(&sale.id, partition);
        close_one(redis, &keys.meta, CloseWhen::Now).await?;
    }
    Ok(None)
}

async fn close_one(redis: &RedisCluster, meta: &str, when: CloseWhen) -> Result<u64, StoreError> {
    let when = match when {
        CloseWhen::Ended => "ended",
        CloseWhen::Now => "now",
    };
    redis
        .eval(&CLOSE, &[meta], |cmd| {
            cmd.arg(when);
        })
        .await
}

async fn register(redis: &RedisCluster, sale: &Sale) -> Result<(), StoreError> {
    let description = serde_json::to_string(sale)
        .map_err(|e| StoreError::unexpected("sale", "one that JSON can hold", e.to_string()))?;
    let mut cmd = redis::cmd("HSET");
    cmd.arg(registry(sale.id.flash_sale()))
        .arg(sale.id.as_str())
        .arg(description);
    redis.run::<i64>("registry", &cmd).await.map(drop)
}

/// Takes a sale out of the registry and deletes its keys.
pub async fn forget(
    redis: &RedisCluster,
    sale: &SaleId,
    partitions: u16,
) -> Result<(), StoreError> {
    let mut cmd = redis::cmd("HDEL");
    cmd.arg(registry(sale.flash_sale())).arg(sale.as_str());
    redis.run::<i64>("registry", &cmd).await?;
    let mut unlink = redis::cmd("UNLINK");
    unlink.arg(&SaleKeys::new(sale).all());
    redis.run::<i64>("registry", &unlink).await?;
    for partition in 0..partitions {
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(&PartitionKeys::new(sale, partition).all());
        redis.run::<i64>("registry", &unlink).await?;
    }
    Ok(())
}

/// The part of a code behind its last dash.
fn tail_of(code: &str) -> &str {
    code.rsplit_once('-').map_or(code, |(_, tail)| tail)
}
