//! Reads of the table `purchases`.

use sqlx::Row;

use crate::domain::error::BackendError;
use crate::domain::outcome::Purchase;
use crate::domain::sale::SaleId;
use crate::postgres::operations::CorrectionFacts;
use crate::postgres::page::{as_i32, read_page};
use crate::postgres::pool::PostgresPool;

/// Item index, user, user's slot, sale's slot or 0.
type PurchaseRow = (i32, String, i32, i32);

/// A page of what a sale sold, from item index `from` on.
pub(super) async fn read(
    pool: &PostgresPool,
    sale: &SaleId,
    from: u32,
) -> Result<Vec<Purchase>, BackendError> {
    let sql = include_str!("sql/read_purchases.sql");
    let rows: Vec<PurchaseRow> = read_page(pool, "audit", sql, sale, as_i32(from)).await?;
    Ok(rows.into_iter().map(purchase).collect())
}

/// The purchases of items of a sale.
pub(super) async fn read_of_items(
    pool: &PostgresPool,
    sale: &SaleId,
    items: &[u32],
) -> Result<Vec<Purchase>, BackendError> {
    let (sale, items) = (sale.to_string(), column(items));
    let rows: Vec<PurchaseRow> = pool
        .run("read_order", move |session| {
            Box::pin(async move {
                sqlx::query_as(include_str!("sql/read_purchases_of_items.sql"))
                    .bind(sale)
                    .bind(items)
                    .fetch_all(session)
                    .await
            })
        })
        .await?;
    Ok(rows.into_iter().map(purchase).collect())
}

fn purchase((idx, user, user_slot, sale_slot): PurchaseRow) -> Purchase {
    Purchase {
        idx: idx.unsigned_abs(),
        user,
        user_slot: user_slot.unsigned_abs(),
        sale_slot: sale_slot.unsigned_abs(),
    }
}

fn column(numbers: &[u32]) -> Vec<i32> {
    numbers.iter().copied().map(as_i32).collect()
}

/// A page of the item indexes that a sale sold, from `from` on.
pub(super) async fn read_sold_items(
    pool: &PostgresPool,
    sale: &SaleId,
    from: u32,
) -> Result<Vec<u32>, BackendError> {
    let sql = include_str!("sql/read_sold_items.sql");
    let rows: Vec<(i32,)> = read_page(pool, "audit", sql, sale, as_i32(from)).await?;
    Ok(rows.into_iter().map(|(idx,)| idx.unsigned_abs()).collect())
}

/// What Redis must hold of a user, of these items and of these sale slots.
pub(super) async fn read_correction_facts(
    pool: &PostgresPool,
    sale: &SaleId,
    user: &str,
    items: &[u32],
    sale_slots: &[u32],
) -> Result<CorrectionFacts, BackendError> {
    let (sale, user) = (sale.to_string(), user.to_owned());
    let (items, sale_slots) = (column(items), column(sale_slots));
    pool.run("read_order", move |session| {
        Box::pin(async move {
            let row = sqlx::query(include_str!("sql/read_correction_facts.sql"))
                .bind(sale)
                .bind(user)
                .bind(items)
                .bind(sale_slots)
                .fetch_one(session)
                .await?;
            let numbers = |column: &str| -> Result<Vec<u32>, sqlx::Error> {
                let numbers: Vec<i32> = row.try_get(column)?;
                Ok(numbers.into_iter().map(i32::unsigned_abs).collect())
            };
            let highest: i32 = row.try_get("highest_sale_slot")?;
            Ok(CorrectionFacts {
                user_slots: row.try_get("user_slots")?,
                highest_sale_slot: highest.unsigned_abs(),
                sold: numbers("sold")?,
                free_sale_slots: numbers("free_sale_slots")?,
            })
        })
    })
    .await
}
