//! Reads of sales and their items: from memory while this process serves them, from Postgres
//! afterwards.

use crate::domain::catalog::Item;
use crate::domain::error::BackendError;
use crate::domain::sale::{Sale, SaleId};
use crate::postgres::operations::{Postgres, Shown};
use crate::redis::commands::Redis;
use crate::selling::service::SellingService;

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

/// A part of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Items, each with whether it is sold.
    pub items: Vec<(Item, bool)>,
    /// The index from which the next page goes on; none at the end.
    pub next: Option<u32>,
}

impl<R: Redis, P: Postgres> SellingService<R, P> {
    /// A sale of this FlashSale, if there is or was one of this id.
    pub async fn status(&self, id: &SaleId) -> Result<Option<SaleStatus>, BackendError> {
        if let Some(served) = self.sales.get(id) {
            return Ok(Some(SaleStatus {
                sale: served.sale.clone(),
                sold: served.view.sold_count(),
            }));
        }
        if id.flash_sale() != self.flash_sale() {
            return Ok(None);
        }
        let record = self.context.lookups.read_sale(id).await?;
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
    ) -> Result<Option<Page>, BackendError> {
        let limit = limit.clamp(1, MAX_PAGE) as usize;
        if let Some(served) = self.sales.get(id) {
            let rest = served.catalog.iter().skip(from as usize);
            let marked = rest.map(|item| (item, served.view.is_sold(item.idx)));
            let mut matching = marked.filter(|(_, sold)| match shown {
                Shown::All => true,
                Shown::Available => !sold,
                Shown::Sold => *sold,
            });
            let items: Vec<(Item, bool)> = matching
                .by_ref()
                .take(limit)
                .map(|(item, sold)| (item.clone(), sold))
                .collect();
            let next = matching.next().map(|(item, _)| item.idx);
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
    ) -> Result<Page, BackendError> {
        let lookups = &self.context.lookups;
        let mut items = lookups.browse_items(id, from, shown, limit + 1).await?;
        let next = items.get(limit).map(|(item, _)| item.idx);
        items.truncate(limit);
        Ok(Page { items, next })
    }
}
