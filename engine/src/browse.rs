//! Looking at sales: from memory while this process serves them, from Postgres afterwards.

use crate::catalog::Item;
use crate::error::StoreError;
use crate::sale::{Sale, SaleId};
use crate::sales;
use crate::shop::Shop;

/// Items of one page at the most.
pub const MAX_PAGE: u32 = 1_000;

/// A sale and how much it has sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleStatus {
    /// What it is.
    pub sale: Sale,
    /// Items sold.
    pub sold: u32,
}

/// Which items a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// All of them.
    All,
    /// Those for sale.
    Available,
    /// Those that are sold.
    Sold,
}

/// A part of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Items, each with whether it is sold.
    pub items: Vec<(Item, bool)>,
    /// The index from which the next page goes on; none at the end.
    pub next: Option<u32>,
}

impl Shop {
    /// A sale of this FlashSale, if there is or was one of this id.
    pub async fn status(&self, id: &SaleId) -> Result<Option<SaleStatus>, StoreError> {
        if let Some(open) = self.known(id) {
            return Ok(Some(SaleStatus {
                sale: open.sale.clone(),
                sold: open.view.sold_count(),
            }));
        }
        if id.flash_sale() != self.flash_sale() {
            return Ok(None);
        }
        let record = sales::one(&self.lookups, id).await?;
        Ok(record.map(|record| SaleStatus {
            sale: record.sale,
            sold: record.sold,
        }))
    }

    /// A page of a sale's items from index `from` on; none where there is no such sale.
    pub async fn page(
        &self,
        id: &SaleId,
        from: u32,
        limit: u32,
        shown: Shown,
    ) -> Result<Option<Page>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE) as usize;
        if let Some(open) = self.known(id) {
            let rest = open.catalog.iter().skip(from as usize);
            let marked = rest.map(|item| (item, open.view.is_sold(item.idx)));
            let mut wanted = marked.filter(|(_, sold)| match shown {
                Shown::All => true,
                Shown::Available => !sold,
                Shown::Sold => *sold,
            });
            let items: Vec<(Item, bool)> = wanted
                .by_ref()
                .take(limit)
                .map(|(item, sold)| (item.clone(), sold))
                .collect();
            let next = wanted.next().map(|(item, _)| item.idx);
            return Ok(Some(Page { items, next }));
        }
        if self.status(id).await?.is_none() {
            return Ok(None);
        }
        self.page_from_postgres(id, from, limit, shown)
            .await
            .map(Some)
    }

    async fn page_from_postgres(
        &self,
        id: &SaleId,
        from: u32,
        limit: usize,
        shown: Shown,
    ) -> Result<Page, StoreError> {
        let id = id.to_string();
        let from = i32::try_from(from).unwrap_or(i32::MAX);
        let available = match shown {
            Shown::All => None,
            Shown::Available => Some(true),
            Shown::Sold => Some(false),
        };
        let mut rows: Vec<(i32, String, String, String, bool)> = self
            .lookups
            .run("read_items", |connection| {
                Box::pin(async move {
                    sqlx::query_as(include_str!("sql/browse_items.sql"))
                        .bind(id)
                        .bind(from)
                        .bind(available)
                        .bind(limit as i64 + 1)
                        .fetch_all(connection)
                        .await
                })
            })
            .await?;
        let next = rows.get(limit).map(|row| row.0.unsigned_abs());
        rows.truncate(limit);
        let items = rows.into_iter().map(|(idx, id, name, image_url, sold)| {
            (sales::item((idx, id, name, image_url)), sold)
        });
        Ok(Page {
            items: items.collect(),
            next,
        })
    }
}
