//! The table `items`.

use crate::domain::catalog::{Catalog, Item};
use crate::domain::error::BackendError;
use crate::domain::ids::ItemId;
use crate::domain::sale::SaleId;
use crate::postgres::operations::{PAGE, Shown};
use crate::postgres::page::{as_i32, read_page};
use crate::postgres::pool::PostgresPool;
use crate::postgres::session::Session;

/// Columns of a part of a catalogue, as UNNEST takes them.
pub(super) struct ItemColumns {
    indexes: Vec<i32>,
    ids: Vec<String>,
    names: Vec<String>,
    image_urls: Vec<String>,
}

impl ItemColumns {
    /// A catalogue in parts that one statement inserts each.
    pub(super) fn pages(catalog: &Catalog) -> Vec<Self> {
        let items: Vec<&Item> = catalog.iter().collect();
        items.chunks(PAGE).map(Self::of).collect()
    }

    fn of(page: &[&Item]) -> Self {
        let column = |text: fn(&Item) -> &str| -> Vec<String> {
            page.iter().map(|item| text(item).to_owned()).collect()
        };
        Self {
            indexes: page.iter().map(|item| as_i32(item.idx)).collect(),
            ids: column(|item| &item.id),
            names: column(|item| &item.name),
            image_urls: column(|item| &item.image_url),
        }
    }

    /// Inserts the part.
    pub(super) async fn insert(self, sale: &str, session: &mut Session) -> Result<(), sqlx::Error> {
        sqlx::query(include_str!("sql/insert_items.sql"))
            .bind(sale)
            .bind(self.indexes)
            .bind(self.ids)
            .bind(self.names)
            .bind(self.image_urls)
            .execute(session)
            .await
            .map(drop)
    }
}

/// `idx`, `id`, `name` and `image_url` of a row.
type ItemRow = (i32, String, String, String);

fn item((idx, id, name, image_url): ItemRow) -> Item {
    Item {
        idx: idx.unsigned_abs(),
        id,
        name,
        image_url,
    }
}

/// A page of a catalogue from index `from` on.
pub(super) async fn read(
    pool: &PostgresPool,
    sale: &SaleId,
    from: u32,
) -> Result<Vec<Item>, BackendError> {
    let sql = include_str!("sql/read_items.sql");
    let rows: Vec<ItemRow> = read_page(pool, "read_items", sql, sale, as_i32(from)).await?;
    Ok(rows.into_iter().map(item).collect())
}

/// At most `limit` items from index `from` on, each with whether it is sold.
pub(super) async fn browse(
    pool: &PostgresPool,
    sale: &SaleId,
    from: u32,
    shown: Shown,
    limit: usize,
) -> Result<Vec<(Item, bool)>, BackendError> {
    let (sale, from) = (sale.to_string(), as_i32(from));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let available = match shown {
        Shown::All => None,
        Shown::Available => Some(true),
        Shown::Sold => Some(false),
    };
    let rows: Vec<(i32, String, String, String, bool)> = pool
        .run("read_items", move |session| {
            Box::pin(async move {
                sqlx::query_as(include_str!("sql/browse_items.sql"))
                    .bind(sale)
                    .bind(from)
                    .bind(available)
                    .bind(limit)
                    .fetch_all(session)
                    .await
            })
        })
        .await?;
    let items = rows.into_iter();
    let items = items.map(|(idx, id, name, url, sold)| (item((idx, id, name, url)), sold));
    Ok(items.collect())
}

/// The items of these indexes.
pub(super) async fn read_by_index(
    pool: &PostgresPool,
    sale: &SaleId,
    indexes: &[u32],
) -> Result<Vec<Item>, BackendError> {
    let sale = sale.to_string();
    let indexes: Vec<i32> = indexes.iter().copied().map(as_i32).collect();
    let rows: Vec<ItemRow> = pool
        .run("read_items", move |session| {
            Box::pin(async move {
                sqlx::query_as(include_str!("sql/read_items_by_index.sql"))
                    .bind(sale)
                    .bind(indexes)
                    .fetch_all(session)
                    .await
            })
        })
        .await?;
    Ok(rows.into_iter().map(item).collect())
}

/// Whether any sale has an item of this id.
pub(super) async fn exists(pool: &PostgresPool, item: &ItemId) -> Result<bool, BackendError> {
    let id = item.as_str().to_owned();
    pool.run("read_items", move |session| {
        Box::pin(async move {
            sqlx::query_scalar(include_str!("sql/has_item.sql"))
                .bind(id)
                .fetch_one(session)
                .await
        })
    })
    .await
}
