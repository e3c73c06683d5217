//! Sales and catalogues in Postgres.

use jiff::Timestamp;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection, Row};

use crate::catalog::{Catalog, Item};
use crate::error::StoreError;
use crate::postgres::Database;
use crate::sale::{FlashSaleName, Limits, Sale, SaleId, Window};

/// Rows that one statement writes or reads.
pub(crate) const PAGE: usize = 10_000;

/// A sale as Postgres has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleRecord {
    /// What it is.
    pub sale: Sale,
    /// When its catalogue was complete and Redis held it; none while it must not open.
    pub seeded_at: Option<Timestamp>,
    /// When it stopped selling.
    pub closed_at: Option<Timestamp>,
    /// When Redis and Postgres were found to agree item by item.
    pub settled_at: Option<Timestamp>,
    /// When Redis was told to forget it.
    pub retired_at: Option<Timestamp>,
    /// Items sold, as committed.
    pub sold: u32,
}

/// Which moment of a sale's life is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// Redis holds it.
    Seeded,
    /// Nothing is sold any more.
    Closed,
    /// Redis and Postgres agree; what it sold is counted for good.
    Settled,
    /// Redis has forgotten it.
    Retired,
}

/// The newest `limit` sales of a FlashSale, and all that Redis has not forgotten yet; newest first.
pub async fn of_flash_sale(
    db: &Database,
    flash_sale: &FlashSaleName,
    limit: u32,
) -> Result<Vec<SaleRecord>, StoreError> {
    read(db, flash_sale.as_str(), "", limit).await
}

/// One sale, if Postgres has it.
pub async fn one(db: &Database, id: &SaleId) -> Result<Option<SaleRecord>, StoreError> {
    Ok(read(db, "", id.as_str(), 1).await?.pop())
}

async fn read(
    db: &Database,
    flash_sale: &str,
    id: &str,
    limit: u32,
) -> Result<Vec<SaleRecord>, StoreError> {
    let (flash_sale, id) = (flash_sale.to_owned(), id.to_owned());
    let rows = db
        .run("read_sales", |connection| {
            Box::pin(async move {
                sqlx::query(include_str!("sql/read_sales.sql"))
                    .bind(flash_sale)
                    .bind(id)
                    .bind(i64::from(limit))
                    .fetch_all(connection)
                    .await
            })
        })
        .await?;
    rows.iter().map(from_row).collect()
}

fn from_row(row: &PgRow) -> Result<SaleRecord, StoreError> {
    let failed = |source| StoreError::Postgres {
        what: "read_sales",
        source,
    };
    let number = |column: &str| row.try_get::<i32, _>(column).map(i32::unsigned_abs);
    let time = |us: i64| {
        Timestamp::from_microsecond(us)
            .map_err(|_| StoreError::unexpected("sales", "a time between the years 0 and 9999", us))
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
            ["seeded_us", "closed_us", "settled_us", "retired_us"]
                .map(|c| row.try_get::<Option<i64>, _>(c)),
            row.try_get::<i64, _>("sold")?,
        ))
    };
    let (id, starts, ends, limits, items, partitions, best_effort, moments, sold) =
        read().map_err(failed)?;
    let [seeded, closed, settled, retired] = moments;
    let moment = |us: Result<Option<i64>, sqlx::Error>| us.map_err(failed)?.map(time).transpose();
    Ok(SaleRecord {
        sale: Sale {
            id: id
                .parse::<SaleId>()
                .map_err(|_| StoreError::unexpected("sales.id", "a sale id", &id))?,
            window: Window {
                starts_at: time(starts)?,
                ends_at: time(ends)?,
            },
            limits,
            items,
            partitions,
            best_effort,
        },
        seeded_at: moment(seeded)?,
        closed_at: moment(closed)?,
        settled_at: moment(settled)?,
        retired_at: moment(retired)?,
        sold: u32::try_from(sold).unwrap_or(u32::MAX),
    })
}

/// Writes a sale and its catalogue, whole or not at all; a sale that is there stays as it is.
/// Answers whether it was there.
pub async fn write(db: &Database, sale: &Sale, catalog: &Catalog) -> Result<bool, StoreError> {
    if one(db, &sale.id).await?.is_some() {
        return Ok(true);
    }
    let row = sale.clone();
    let items: Vec<&Item> = catalog.iter().collect();
    let pages: Vec<ItemColumns> = items.chunks(PAGE).map(ItemColumns::of).collect();
    db.run_long("seed", move |connection| {
        Box::pin(async move {
            let mut transaction = connection.begin().await?;
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
                .execute(&mut *transaction)
                .await?;
            if inserted.rows_affected() == 0 {
                // A second operator was faster.
                return Ok(true);
            }
            for page in pages {
                page.insert(row.id.as_str(), &mut transaction).await?;
            }
            transaction.commit().await?;
            Ok(false)
        })
    })
    .await
}

/// Deletes all rows of a FlashSale: its sales, what they sold and the attempts.
pub async fn delete_rows(db: &Database, flash_sale: &FlashSaleName) -> Result<(), StoreError> {
    let name = flash_sale.as_str().to_owned();
    db.run_long("delete rows", move |connection| {
        Box::pin(async move {
            sqlx::query(include_str!("sql/delete_rows.sql"))
                .bind(name)
                .execute(connection)
                .await
                .map(drop)
        })
    })
    .await
}

/// A part of a catalogue as arrays.
struct ItemColumns {
    indexes: Vec<i32>,
    ids: Vec<String>,
    names: Vec<String>,
    image_urls: Vec<String>,
}

impl ItemColumns {
    fn of(page: &[&Item]) -> Self {
        let column = |text: fn(&Item) -> &str| -> Vec<String> {
            page.iter().map(|item| text(item).to_owned()).collect()
        };
        Self {
            indexes: page.iter().map(|item| item.idx as i32).collect(),
            ids: column(|item| &item.id),
            names: column(|item| &item.name),
            image_urls: column(|item| &item.image_url),
        }
    }

    async fn insert(self, sale: &str, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(include_str!("sql/insert_items.sql"))
            .bind(sale)
            .bind(self.indexes)
            .bind(self.ids)
            .bind(self.names)
            .bind(self.image_urls)
            .execute(connection)
            .await
            .map(drop)
    }
}

/// Takes the mark from a sale that has not begun which says that it may open: processes leave it
/// alone, and it is seeded again if it is wanted after all. Answers whether it was so.
pub async fn unseed(db: &Database, id: &SaleId) -> Result<bool, StoreError> {
    let id = id.to_string();
    let unseeded = db
        .run("seed", |connection| {
            Box::pin(async move {
                sqlx::query("UPDATE sales SET seeded_at = NULL WHERE id = $1 AND starts_at > now()")
                    .bind(id)
                    .execute(connection)
                    .await
            })
        })
        .await?;
    Ok(unseeded.rows_affected() == 1)
}

/// Deletes a sale that may not open, with its catalogue.
pub async fn delete_unseeded(db: &Database, id: &SaleId) -> Result<(), StoreError> {
    let id = id.to_string();
    db.run_long("seed", move |connection| {
        Box::pin(async move {
            sqlx::query("DELETE FROM sales WHERE id = $1 AND seeded_at IS NULL")
                .bind(id)
                .execute(connection)
                .await
                .map(drop)
        })
    })
    .await
}

/// Notes a moment of a sale's life; the first note stays.
pub async fn note(db: &Database, id: &SaleId, milestone: Milestone) -> Result<(), StoreError> {
    let id = id.to_string();
    let sql = match milestone {
        Milestone::Seeded => {
            "UPDATE sales SET seeded_at = now() WHERE id = $1 AND seeded_at IS NULL"
        }
        Milestone::Retired => {
            "UPDATE sales SET retired_at = now() WHERE id = $1 AND retired_at IS NULL"
        }
        Milestone::Closed => {
            "UPDATE sales SET closed_at = now() WHERE id = $1 AND closed_at IS NULL"
        }
        Milestone::Settled => {
            "UPDATE sales SET settled_at = now(),
                              sold = (SELECT count(*) FROM purchases WHERE sale_id = sales.id)
              WHERE id = $1 AND settled_at IS NULL"
        }
    };
    db.run("seed", |connection| {
        Box::pin(async move {
            sqlx::query(sql)
                .bind(id)
                .execute(connection)
                .await
                .map(drop)
        })
    })
    .await
}

/// One page of a sale's rows, by a statement that takes the sale, where to go on, and how many.
/// A page that is not full is the last.
pub(crate) async fn page<R, K>(
    db: &Database,
    what: &'static str,
    sql: &'static str,
    sale: &SaleId,
    from: K,
) -> Result<Vec<R>, StoreError>
where
    R: for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin + 'static,
    K: for<'q> sqlx::Encode<'q, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + 'static,
{
    let sale = sale.to_string();
    db.run_long(what, move |connection| {
        Box::pin(async move {
            sqlx::query_as(sql)
                .bind(sale)
                .bind(from)
                .bind(PAGE as i64)
                .fetch_all(connection)
                .await
        })
    })
    .await
}

/// `idx`, `id`, `name` and `image_url` of a row of `items`.
pub(crate) type ItemRow = (i32, String, String, String);

/// The item of a row.
pub(crate) fn item((idx, id, name, image_url): ItemRow) -> Item {
    Item {
        idx: idx.unsigned_abs(),
        id,
        name,
        image_url,
    }
}

/// Reads a whole catalogue.
pub async fn catalog(db: &Database, sale: &SaleId) -> Result<Catalog, StoreError> {
    let sql = include_str!("sql/read_items.sql");
    let mut items: Vec<Item> = Vec::new();
    loop {
        let from = items.len() as i32;
        let rows: Vec<ItemRow> = page(db, "read_items", sql, sale, from).await?;
        let last = rows.len() < PAGE;
        items.extend(rows.into_iter().map(item));
        if last {
            break;
        }
    }
    Catalog::from_items(items)
        .map_err(|error| StoreError::unexpected("items", "a whole catalogue", error.to_string()))
}
