//! The table `watermarks`.

use crate::domain::error::BackendError;
use crate::domain::sale::FlashSaleName;
use crate::domain::watermark::{Watermark, Watermarks};
use crate::postgres::pool::PostgresPool;

/// Publishes up to when a process has settled what it answered. Returns the server's present time.
pub(super) async fn publish(
    pool: &PostgresPool,
    flash_sale: &FlashSaleName,
    process: u64,
    settled_through_us: i64,
) -> Result<i64, BackendError> {
    let flash_sale = flash_sale.to_string();
    pool.run("publish_watermark", move |session| {
        Box::pin(async move {
            sqlx::query_scalar(include_str!("sql/publish_watermark.sql"))
                .bind(process.cast_signed())
                .bind(flash_sale)
                .bind(settled_through_us)
                .fetch_one(session)
                .await
        })
    })
    .await
}

/// Deletes the watermark of a process.
pub(super) async fn delete(pool: &PostgresPool, process: u64) -> Result<(), BackendError> {
    pool.run("publish_watermark", move |session| {
        Box::pin(async move {
            sqlx::query(include_str!("sql/delete_watermark.sql"))
                .bind(process.cast_signed())
                .execute(session)
                .await
                .map(drop)
        })
    })
    .await
}

/// Deletes the watermarks of processes that have been silent for longer.
pub(super) async fn delete_silent(
    pool: &PostgresPool,
    flash_sale: &FlashSaleName,
    silent_us: i64,
) -> Result<(), BackendError> {
    let flash_sale = flash_sale.to_string();
    pool.run("publish_watermark", move |session| {
        Box::pin(async move {
            sqlx::query(include_str!("sql/delete_silent_watermarks.sql"))
                .bind(flash_sale)
                .bind(silent_us)
                .execute(session)
                .await
                .map(drop)
        })
    })
    .await
}

/// A row: the present time, and a watermark where there is one.
type Row = (i64, Option<i64>, Option<i64>, Option<i64>);

/// What the processes of a FlashSale have published.
pub(super) async fn read(
    pool: &PostgresPool,
    flash_sale: &FlashSaleName,
) -> Result<Watermarks, BackendError> {
    let flash_sale = flash_sale.to_string();
    let rows: Vec<Row> = pool
        .run("read_watermarks", move |session| {
            Box::pin(async move {
                sqlx::query_as(include_str!("sql/read_watermarks.sql"))
                    .bind(flash_sale)
                    .fetch_all(session)
                    .await
            })
        })
        .await?;
    // Of several rows the earliest time: nothing was published after it that is not read.
    let now_us = rows.iter().map(|(now_us, ..)| *now_us).min();
    let watermark = |(_, process, settled_through_us, seen_us): &Row| {
        Some(Watermark {
            process: (*process)?.cast_unsigned(),
            settled_through_us: (*settled_through_us)?,
            seen_us: (*seen_us)?,
        })
    };
    Ok(Watermarks {
        now_us: now_us
            .ok_or_else(|| BackendError::unexpected("watermarks", "a row at least", "none"))?,
        of_processes: rows.iter().filter_map(watermark).collect(),
    })
}
