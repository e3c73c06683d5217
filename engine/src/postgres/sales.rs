//! The table `sales`.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::domain::catalog::Catalog;
use crate::domain::error::BackendError;
use crate::domain::lifecycle::{Milestone, SaleRecord, SaleStage};
use crate::domain::sale::{FlashSaleName, Limits, Sale, SaleId, Window};
use crate::postgres::errors::from_sqlx;
use crate::postgres::items::ItemColumns;
use crate::postgres::pool::PostgresPool;
use crate::postgres::session::Session;

/// The newest `limit` sales of a FlashSale and all that are not retired, or the sale of this id.
pub(super) async fn read(
    pool: &PostgresPool,
    flash_sale: &str,
    id: &str,
    limit: u32,
) -> Result<Vec<SaleRecord>, BackendError> {
    let (flash_sale, id) = (flash_sale.to_owned(), id.to_owned());
    let known = pool.sold_counts().known();
    let ids: Vec<String> = known.keys().cloned().collect();
    let rows = pool
        .run("read_sales", move |session| {
            Box::pin(async move {
                sqlx::query(include_str!("sql/read_sales.sql"))
                    .bind(flash_sale)
                    .bind(id)
                    .bind(i64::from(limit))
                    .bind(ids)
                    .fetch_all(session)
                    .await
            })
        })
        .await?;
    let record = |row: &PgRow| {
        let (mut record, counted) = from_row(row)?;
        let id = record.sale.id.as_str();
        match counted {
            Some(sold) if record.settled_at.is_none() => {
                pool.sold_counts().keep(id, sold, pool.clock());
            }
            _ => {}
        }
        let sold = counted.or_else(|| known.get(id).copied()).unwrap_or(0);
        record.sold = u32::try_from(sold).unwrap_or(u32::MAX);
        Ok(record)
    };
    rows.iter().map(record).collect()
}

/// A sale without its count, and its count where Postgres made one.
fn from_row(row: &PgRow) -> Result<(SaleRecord, Option<i64>), BackendError> {
    let failed = |error: sqlx::Error| from_sqlx("read_sales", &error);
    let number = |column: &str| row.try_get::<i32, _>(column).map(i32::unsigned_abs);
    let time = |us: i64| {
        Timestamp::from_microsecond(us).map_err(|_| {
            BackendError::unexpected("sales", "a time between the years 0 and 9999", us)
        })
    };
    let read = || -> Result<_, sqlx::Error> {
        Ok((
            row.try_get::<String, _>("id")?,
            row.try_get::<i64, _>("starts_us")?,
            row.try_get::<i64, _>("ends_us")?,
            Limits {
                per_user: number("per_user")?,
                per_checkout: number("per_checkout")?,
                total: number("total_limit")?,
            },
            number("total_items")?,
            row.try_get::<i16, _>("partitions")?.unsigned_abs(),
            row.try_get::<bool, _>("best_effort")?,
            row.try_get::<i16, _>("format")?.unsigned_abs(),
            ["seeded_us", "closed_us", "settled_us", "retired_us"]
                .map(|c| row.try_get::<Option<i64>, _>(c)),
            row.try_get::<Option<i64>, _>("sold")?,
        ))
    };
    let (id, starts, ends, limits, items, partitions, best_effort, format, moments, sold) =
        read().map_err(failed)?;
    let [seeded, closed, settled, retired] = moments;
    let moment = |us: Result<Option<i64>, sqlx::Error>| us.map_err(failed)?.map(time).transpose();
    let record = SaleRecord {
        sale: Sale {
            id: id
                .parse::<SaleId>()
                .map_err(|_| BackendError::unexpected("sales.id", "a sale id", &id))?,
            window: Window {
                starts_at: time(starts)?,
                ends_at: time(ends)?,
            },
            limits,
            items,
            partitions,
            best_effort,
            format,
        },
        seeded_at: moment(seeded)?,
        closed_at: moment(closed)?,
        settled_at: moment(settled)?,
        retired_at: moment(retired)?,
        sold: 0,
    };
    Ok((record, sold))
}

/// Writes a sale and its catalogue in one transaction. Returns whether it was not there.
pub(super) async fn insert(
    pool: &PostgresPool,
    sale: &Sale,
    catalog: &Catalog,
) -> Result<bool, BackendError> {
    if !read(pool, "", sale.id.as_str(), 1).await?.is_empty() {
        return Ok(false);
    }
    let row = sale.clone();
    let pages = ItemColumns::pages(catalog);
    pool.run_long("seed", move |session| {
        Box::pin(async move {
            let inserted = sqlx::query(include_str!("sql/insert_sale.sql"))
                .bind(row.id.as_str())
                .bind(row.id.flash_sale().as_str())
                .bind(row.window.starts_at.as_microsecond())
                .bind(row.window.ends_at.as_microsecond())
                .bind(row.items as i32)
                .bind(row.limits.per_user as i32)
                .bind(row.limits.per_checkout as i32)
                .bind(row.limits.total as i32)
                .bind(row.partitions as i16)
                .bind(row.best_effort)
                .bind(row.format as i16)
                .execute(&mut *session)
                .await?;
            if inserted.rows_affected() == 0 {
                // A second operator was faster.
                return Ok(false);
            }
            for page in pages {
                page.insert(row.id.as_str(), session).await?;
            }
            Ok(true)
        })
    })
    .await
}

/// Notes a milestone; the first note stays.
pub(super) async fn note(
    pool: &PostgresPool,
    id: &SaleId,
    milestone: Milestone,
) -> Result<(), BackendError> {
    let sql = match milestone {
        Milestone::Seeded => include_str!("sql/note_seeded.sql"),
        Milestone::Closed => include_str!("sql/note_closed.sql"),
        Milestone::Retired => include_str!("sql/note_retired.sql"),
    };
    execute(pool, sql, id).await.map(drop)
}

/// Settles a sale that has sold exactly `sold` items. Returns whether it is settled.
pub(super) async fn settle(
    pool: &PostgresPool,
    id: &SaleId,
    sold: u32,
) -> Result<bool, BackendError> {
    let (id, sold) = (id.to_string(), i64::from(sold));
    pool.run_in_transaction("settle_sale", move |session| {
        Box::pin(async move {
            // A statement of its own: the next one then sees the orders that it has waited for.
            sqlx::query(include_str!("sql/lock_orders_of_sale.sql"))
                .bind(&id)
                .execute(&mut *session)
                .await?;
            sqlx::query(include_str!("sql/settle_sale.sql"))
                .bind(&id)
                .bind(sold)
                .execute(&mut *session)
                .await?;
            let stages = query_stages(session, std::slice::from_ref(&id)).await?;
            Ok(stages == [(id, SaleStage::Settled)])
        })
    })
    .await
}

/// How far sales have come, of those that there are.
pub(super) async fn read_stages(
    pool: &PostgresPool,
    ids: &[SaleId],
) -> Result<HashMap<SaleId, SaleStage>, BackendError> {
    let ids: Vec<String> = ids.iter().map(SaleId::to_string).collect();
    let rows = pool.run("read_stage", move |session| {
        Box::pin(async move { query_stages(session, &ids).await })
    });
    let stage = |(id, stage): (String, SaleStage)| Some((id.parse().ok()?, stage));
    Ok(rows.await?.into_iter().filter_map(stage).collect())
}

async fn query_stages(
    session: &mut Session,
    ids: &[String],
) -> Result<Vec<(String, SaleStage)>, sqlx::Error> {
    let rows: Vec<(String, bool, bool, bool)> = sqlx::query_as(include_str!("sql/read_stages.sql"))
        .bind(ids)
        .fetch_all(session)
        .await?;
    let stage = |(id, seeded, closed, settled)| (id, SaleStage::of(seeded, closed, settled));
    Ok(rows.into_iter().map(stage).collect())
}

/// Takes the mark of a seeded sale from one that has not begun. Returns whether it did.
pub(super) async fn unseed(pool: &PostgresPool, id: &SaleId) -> Result<bool, BackendError> {
    Ok(execute(pool, include_str!("sql/unseed_sale.sql"), id).await? == 1)
}

async fn execute(pool: &PostgresPool, sql: &'static str, id: &SaleId) -> Result<u64, BackendError> {
    let id = id.to_string();
    let done = pool.run_in_transaction("seed", move |session| {
        Box::pin(async move { sqlx::query(sql).bind(id).execute(session).await })
    });
    Ok(done.await?.rows_affected())
}

/// Deletes a sale that may not open, with its catalogue.
pub(super) async fn delete_unseeded(pool: &PostgresPool, id: &SaleId) -> Result<(), BackendError> {
    let sql = include_str!("sql/delete_unseeded_sale.sql");
    execute_long(pool, sql, id.to_string()).await
}

/// Deletes everything that is kept of a FlashSale.
pub(super) async fn delete_flash_sale(
    pool: &PostgresPool,
    flash_sale: &FlashSaleName,
) -> Result<(), BackendError> {
    let sql = include_str!("sql/delete_flash_sale.sql");
    execute_long(pool, sql, flash_sale.to_string()).await
}

async fn execute_long(
    pool: &PostgresPool,
    sql: &'static str,
    argument: String,
) -> Result<(), BackendError> {
    pool.run_long("seed", move |session| {
        Box::pin(async move {
            sqlx::query(sql)
                .bind(argument)
                .execute(session)
                .await
                .map(drop)
        })
    })
    .await
}
