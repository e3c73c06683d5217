//! The table `checkout_attempts`.

use jiff::Timestamp;

use crate::domain::attempt::Attempt;
use crate::domain::cart::{Cart, LoggedCart};
use crate::domain::code::CheckoutCode;
use crate::domain::error::BackendError;
use crate::domain::ids::{ItemId, UserId};
use crate::domain::sale::{Sale, SaleId};
use crate::postgres::copy::Rows;
use crate::postgres::page::as_i32;
use crate::postgres::pool::PostgresPool;

/// Columns of `copy_attempts.sql`, and about how long a row is.
const COLUMNS: i16 = 8;
const ROW_BYTES: usize = 256;

/// Appends attempts; those that are there stay as they are.
pub(super) async fn append(pool: &PostgresPool, attempts: &[&Attempt]) -> Result<(), BackendError> {
    // Nearly always all of them are new: an attempt comes twice only after a time-out, or from a
    // stream whose owner was slow.
    let rows = rows(attempts);
    let copied = pool
        .run_in_transaction("log_attempts", move |session| {
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
        Err(error) if error.is_unique_violation() => insert_new(pool, attempts).await,
        done => done,
    }
}

fn rows(attempts: &[&Attempt]) -> Vec<u8> {
    let mut rows = Rows::new(COLUMNS, attempts.len() * ROW_BYTES);
    for attempt in attempts {
        let request = &attempt.request;
        rows.row()
            .uuid(request.id)
            .time(request.at_us)
            .text_or_null(attempt.sale.as_deref().map(SaleId::as_str))
            .text_or_null(request.user.as_ref().map(UserId::as_str))
            .text_or_null(request.item.as_ref().map(ItemId::as_str))
            .text_or_null(attempt.code().as_deref())
            .text(attempt.outcome.as_str())
            .text(request.request_id.as_str());
    }
    rows.finish()
}

async fn insert_new(pool: &PostgresPool, attempts: &[&Attempt]) -> Result<(), BackendError> {
    let mut ids = Vec::new();
    let mut times = Vec::new();
    let mut sales: Vec<Option<String>> = Vec::new();
    let mut users: Vec<Option<String>> = Vec::new();
    let mut items: Vec<Option<String>> = Vec::new();
    let mut codes: Vec<Option<String>> = Vec::new();
    let mut outcomes: Vec<&'static str> = Vec::new();
    let mut request_ids: Vec<String> = Vec::new();
    for attempt in attempts {
        let request = &attempt.request;
        ids.push(request.id);
        times.push(request.at_us);
        sales.push(attempt.sale.as_ref().map(|sale| sale.to_string()));
        users.push(request.user.as_ref().map(UserId::to_string));
        items.push(request.item.as_ref().map(ItemId::to_string));
        codes.push(attempt.code());
        outcomes.push(attempt.outcome.as_str());
        request_ids.push(request.request_id.to_string());
    }
    pool.run_in_transaction("log_attempts", move |session| {
        Box::pin(async move {
            sqlx::query(include_str!("sql/insert_attempts.sql"))
                .bind(ids)
                .bind(times)
                .bind(sales)
                .bind(users)
                .bind(items)
                .bind(codes)
                .bind(outcomes)
                .bind(request_ids)
                .execute(session)
                .await
                .map(drop)
        })
    })
    .await
}

/// The carts of a sale that have no order.
pub(super) async fn read_carts(
    pool: &PostgresPool,
    sale: &Sale,
) -> Result<Vec<LoggedCart>, BackendError> {
    let id = sale.id.to_string();
    let from = sale.window.starts_at.as_microsecond();
    let to = sale.window.ends_at.as_microsecond();
    let rows: Vec<(String, String, String, bool)> = pool
        .run_long("audit", move |session| {
            Box::pin(async move {
                sqlx::query_as(include_str!("sql/read_carts.sql"))
                    .bind(id)
                    .bind(from)
                    .bind(to)
                    .fetch_all(session)
                    .await
            })
        })
        .await?;
    let cart = |(code, user, items, is_latest): (String, String, String, bool)| {
        Some(LoggedCart {
            suffix: CheckoutCode::parse(&code)?.suffix,
            cart: Cart { user, items },
            is_latest,
        })
    };
    Ok(rows.into_iter().filter_map(cart).collect())
}

/// Creates the partitions of `days` days from the day of `first` on; none is the present day.
pub(super) async fn create_days(
    pool: &PostgresPool,
    first: Option<Timestamp>,
    days: u32,
) -> Result<(), BackendError> {
    let (first, days) = (first.map(Timestamp::as_microsecond), as_i32(days));
    pool.run_long("seed", move |session| {
        Box::pin(async move {
            sqlx::query(include_str!("sql/create_attempt_days.sql"))
                .bind(first)
                .bind(days)
                .execute(session)
                .await
                .map(drop)
        })
    })
    .await
}

/// Drops the partitions of days that ended more than `keep_days` days ago.
pub(super) async fn drop_days(pool: &PostgresPool, keep_days: u32) -> Result<(), BackendError> {
    let keep_days = as_i32(keep_days);
    pool.run_long("seed", move |session| {
        Box::pin(async move {
            sqlx::query(include_str!("sql/drop_attempt_days.sql"))
                .bind(keep_days)
                .execute(session)
                .await
                .map(drop)
        })
    })
    .await
}
