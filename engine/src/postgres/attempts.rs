//! The table `attempts`: the log of checkout attempts, which people read through the view
//! `checkout_attempts`.

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::attempt::{Attempt, AttemptOutcome};
use crate::domain::cart::{Cart, LoggedCart};
use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::domain::ids::{ItemId, UserId};
use crate::domain::sale::{FlashSaleName, Sale, SaleId};
use crate::postgres::copy::Rows;
use crate::postgres::page::as_i32;
use crate::postgres::pool::PostgresPool;

/// Columns of `copy_attempts.sql`, and about how long a row is.
const COLUMNS: i16 = 9;
const ROW_BYTES: usize = 192;

/// The number in the place of a sale where none was active.
const NO_SALE: i32 = 0;

/// How far the clock of a process may be outside of the window of a sale in which it answers, in
/// microseconds: an hour.
const CLOCK_MARGIN_US: i64 = 3_600_000_000;

/// Appends attempts of a FlashSale; those that are there stay as they are.
pub(super) async fn append(
    pool: &PostgresPool,
    flash_sale: &FlashSaleName,
    attempts: &[&Attempt],
) -> Result<(), BackendError> {
    // Nearly always all of them are new: an attempt comes twice only after a time-out, or from a
    // stream whose owner was slow.
    let flash_sale_no = number_of_flash_sale(pool, flash_sale).await?;
    let minutes = sale_minutes(attempts)?;
    let rows = rows(flash_sale_no, attempts, &minutes);
    let copied = pool
        .run("log_attempts", move |session| {
            Box::pin(async move {
                let mut copy = session
                    .copy_in_raw(include_str!("sql/copy_attempts.sql"))
                    .await?;
                copy.send(rows).await?;
                copy.finish().await.map(drop)
            })
        })
        .await;
    match copied {
        Err(error) if error.is_unique_violation() => {
            insert_new(pool, flash_sale_no, attempts, minutes).await
        }
        done => done,
    }
}

/// The number of a FlashSale, which its attempts have in the place of its name.
async fn number_of_flash_sale(
    pool: &PostgresPool,
    flash_sale: &FlashSaleName,
) -> Result<i32, BackendError> {
    let name = flash_sale.to_string();
    pool.run("log_attempts", move |session| {
        Box::pin(async move {
            sqlx::query_scalar(include_str!("sql/number_of_flash_sale.sql"))
                .bind(name)
                .fetch_one(session)
                .await
        })
    })
    .await
}

/// The number of a sale within its FlashSale.
fn sale_minute(sale: &SaleId) -> Result<i32, BackendError> {
    sale.start_minute().ok_or_else(|| {
        BackendError::unexpected("sale id", "one that ends with the time of its start", sale)
    })
}

/// The numbers of the sales of attempts.
fn sale_minutes(attempts: &[&Attempt]) -> Result<Vec<i32>, BackendError> {
    let mut minutes = Vec::with_capacity(attempts.len());
    // Next to always that of the attempt before.
    let mut last: Option<(&SaleId, i32)> = None;
    for attempt in attempts {
        let minute = match (attempt.sale.as_deref(), last) {
            (None, _) => NO_SALE,
            (Some(sale), Some((same, minute))) if sale == same => minute,
            (Some(sale), _) => {
                let minute = sale_minute(sale)?;
                last = Some((sale, minute));
                minute
            }
        };
        minutes.push(minute);
    }
    Ok(minutes)
}

fn rows(flash_sale_no: i32, attempts: &[&Attempt], minutes: &[i32]) -> Vec<u8> {
    let mut rows = Rows::new(COLUMNS, attempts.len() * ROW_BYTES);
    for (attempt, minute) in attempts.iter().zip(minutes) {
        let request = &attempt.request;
        rows.row()
            .time(request.at_us)
            .uuid(request.id)
            .integer(flash_sale_no)
            .integer(*minute)
            .smallint(attempt.outcome.number())
            .text(suffix(attempt))
            .text_or_null(request.user.as_ref().map(UserId::as_str))
            .text_or_null(request.item.as_ref().map(ItemId::as_str))
            .text(request.request_id.as_str());
    }
    rows.finish()
}

/// The suffix of the attempt's code; empty for none.
fn suffix(attempt: &Attempt) -> &str {
    let suffix = attempt.suffix.as_ref();
    suffix.map(CodeSuffix::as_str).unwrap_or_default()
}

async fn insert_new(
    pool: &PostgresPool,
    flash_sale_no: i32,
    attempts: &[&Attempt],
    minutes: Vec<i32>,
) -> Result<(), BackendError> {
    let requests = || attempts.iter().map(|attempt| &attempt.request);
    let times: Vec<i64> = requests().map(|r| r.at_us).collect();
    let ids: Vec<Uuid> = requests().map(|r| r.id).collect();
    let users: Vec<Option<String>> = requests()
        .map(|r| r.user.as_ref().map(UserId::to_string))
        .collect();
    let items: Vec<Option<String>> = requests()
        .map(|r| r.item.as_ref().map(ItemId::to_string))
        .collect();
    let request_ids: Vec<String> = requests().map(|r| r.request_id.to_string()).collect();
    let outcomes: Vec<i16> = attempts.iter().map(|a| a.outcome.number()).collect();
    let suffixes: Vec<String> = attempts.iter().map(|a| suffix(a).to_owned()).collect();
    pool.run("log_attempts", move |session| {
        Box::pin(async move {
            sqlx::query(include_str!("sql/insert_attempts.sql"))
                .bind(flash_sale_no)
                .bind(times)
                .bind(ids)
                .bind(minutes)
                .bind(outcomes)
                .bind(suffixes)
                .bind(users)
                .bind(items)
                .bind(request_ids)
                .execute(session)
                .await
                .map(drop)
        })
    })
    .await
}

/// The carts of a sale in one cart partition that have no order.
pub(super) async fn read_carts(
    pool: &PostgresPool,
    sale: &Sale,
    partition: u16,
) -> Result<Vec<LoggedCart>, BackendError> {
    let flash_sale_no = number_of_flash_sale(pool, sale.id.flash_sale()).await?;
    let (id, minute) = (sale.id.to_string(), sale_minute(&sale.id)?);
    let prefix = CodeSuffix::partition_prefix(partition);
    let from = sale.window.starts_at.as_microsecond() - CLOCK_MARGIN_US;
    let to = sale.window.ends_at.as_microsecond() + CLOCK_MARGIN_US;
    let rows: Vec<(String, String, String, bool)> = pool
        .run_long("read_carts", move |session| {
            Box::pin(async move {
                sqlx::query_as(include_str!("sql/read_carts.sql"))
                    .bind(id)
                    .bind(flash_sale_no)
                    .bind(minute)
                    .bind(prefix)
                    .bind(from)
                    .bind(to)
                    .bind(AttemptOutcome::IN_A_CART.map(AttemptOutcome::number))
                    .fetch_all(session)
                    .await
            })
        })
        .await?;
    let cart = |(suffix, user, items, is_latest): (String, String, String, bool)| {
        Some(LoggedCart {
            suffix: CodeSuffix::parse(&suffix)?,
            cart: Cart { user, items },
            is_latest,
        })
    };
    Ok(rows.into_iter().filter_map(cart).collect())
}

/// Creates the partitions of a FlashSale for `days` days from the day of `first` on; none is the
/// present day.
pub(super) async fn create_days(
    pool: &PostgresPool,
    flash_sale: &FlashSaleName,
    first: Option<Timestamp>,
    days: u32,
) -> Result<(), BackendError> {
    let flash_sale = flash_sale.to_string();
    let (first, days) = (first.map(Timestamp::as_microsecond), as_i32(days));
    pool.run_long("seed", move |session| {
        Box::pin(async move {
            sqlx::query(include_str!("sql/create_attempt_days.sql"))
                .bind(flash_sale)
                .bind(first)
                .bind(days)
                .execute(session)
                .await
                .map(drop)
        })
    })
    .await
}

/// Drops the partitions of a FlashSale for days that ended more than `keep_days` days ago.
pub(super) async fn drop_days(
    pool: &PostgresPool,
    flash_sale: &FlashSaleName,
    keep_days: u32,
) -> Result<(), BackendError> {
    let (flash_sale, keep_days) = (flash_sale.to_string(), as_i32(keep_days));
    pool.run_long("seed", move |session| {
        Box::pin(async move {
            sqlx::query(include_str!("sql/drop_attempt_days.sql"))
                .bind(flash_sale)
                .bind(keep_days)
                .execute(session)
                .await
                .map(drop)
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_words_has_every_outcome_and_no_other() {
        let migration = include_str!("../../../migrations/0006_attempts.sql");
        let row =
            |outcome: AttemptOutcome| format!("({}, '{}')", outcome.number(), outcome.as_str());
        let rows: Vec<String> = AttemptOutcome::all().map(row).collect();
        let statement = "INSERT INTO attempt_outcomes (no, word) VALUES\n    ";
        let (_, listed) = migration.split_once(statement).unwrap_or_default();
        let (listed, _) = listed.split_once(';').unwrap_or_default();
        assert_eq!(listed, rows.join(",\n    "));
    }
}
