//! Operations on `sales` and on catalogues.

use flashsale_engine::postgres::operations::{PAGE, SaleStage, Shown};
use flashsale_engine::{
    Catalog, FlashSaleName, Item, ItemId, Milestone, Sale, SaleId, SaleRecord, Window,
};
use jiff::Timestamp;

use crate::postgres::tables::{SaleRow, Tables, Violation};

impl Tables {
    /// The newest `newest` sales of a FlashSale, and all that are not retired; newest first.
    pub fn read_sales(&self, flash_sale: &FlashSaleName, newest: u32) -> Vec<SaleRecord> {
        let sales = self.sales.values();
        let mut rows: Vec<&SaleRow> = sales
            .filter(|row| row.sale.id.flash_sale() == flash_sale)
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.sale.window.starts_at));
        let newest = usize::try_from(newest).unwrap_or(usize::MAX);
        let shown = rows
            .into_iter()
            .enumerate()
            .filter(|(place, row)| *place < newest || row.retired_at.is_none());
        shown.map(|(_, row)| self.record(row)).collect()
    }

    /// One sale.
    pub fn read_sale(&self, id: &SaleId) -> Option<SaleRecord> {
        self.sales.get(id).map(|row| self.record(row))
    }

    fn record(&self, row: &SaleRow) -> SaleRecord {
        row.record(self.purchases.get(&row.sale.id))
    }

    /// Inserts a sale with its catalogue, unless it is there. Returns whether it did.
    pub fn insert_sale(&mut self, sale: &Sale, catalog: &Catalog) -> Result<bool, Violation> {
        if self.sales.contains_key(&sale.id) {
            return Ok(false);
        }
        check(sale)?;
        let sale = Sale {
            window: Window {
                starts_at: to_microseconds(sale.window.starts_at),
                ends_at: to_microseconds(sale.window.ends_at),
            },
            ..sale.clone()
        };
        self.items.insert(sale.id.clone(), catalog.clone());
        let row = SaleRow {
            sale,
            seeded_at: None,
            closed_at: None,
            settled_at: None,
            retired_at: None,
            sold: None,
        };
        self.sales.insert(row.sale.id.clone(), row);
        Ok(true)
    }

    /// Notes a milestone; the first note stays.
    pub fn note_milestone(&mut self, id: &SaleId, milestone: Milestone, now: Timestamp) {
        let Some(row) = self.sales.get_mut(id) else {
            return;
        };
        let noted = match milestone {
            Milestone::Seeded => &mut row.seeded_at,
            Milestone::Closed => &mut row.closed_at,
            Milestone::Retired => &mut row.retired_at,
        };
        noted.get_or_insert(now);
    }

    /// Settles a sale that has sold exactly `sold` items. Returns whether it is settled.
    pub fn settle_sale(&mut self, id: &SaleId, sold: u32, now: Timestamp) -> bool {
        let purchases = self.purchases.get(id);
        let Some(row) = self.sales.get_mut(id) else {
            return false;
        };
        let has_sold = purchases.map_or(0, |purchases| purchases.count());
        if row.settled_at.is_none() && has_sold == sold {
            row.settled_at = Some(now);
            row.sold = Some(sold);
        }
        row.settled_at.is_some()
    }

    /// How far a sale has come.
    pub fn read_stage(&self, id: &SaleId) -> Option<SaleStage> {
        let row = self.sales.get(id)?;
        Some(SaleStage::of(
            row.seeded_at.is_some(),
            row.closed_at.is_some(),
            row.settled_at.is_some(),
        ))
    }

    /// Whether a sale is settled.
    pub fn is_settled(&self, id: &SaleId) -> bool {
        let row = self.sales.get(id);
        row.is_some_and(|row| row.settled_at.is_some())
    }

    /// Takes the mark of a seeded sale from one that has not begun. Returns whether it was there
    /// and had not begun.
    pub fn unseed_sale(&mut self, id: &SaleId, now: Timestamp) -> bool {
        let row = self.sales.get_mut(id);
        match row.filter(|row| row.sale.window.starts_at > now) {
            None => false,
            Some(row) => {
                row.seeded_at = None;
                true
            }
        }
    }

    /// Deletes a sale that is not seeded, with its catalogue.
    pub fn delete_unseeded_sale(&mut self, id: &SaleId) {
        let row = self.sales.get(id);
        if row.is_some_and(|row| row.seeded_at.is_none()) {
            self.sales.remove(id);
            self.items.remove(id);
        }
    }

    /// Deletes the sales of a FlashSale, and everything of them.
    pub fn delete_flash_sale(&mut self, flash_sale: &FlashSaleName) {
        let of_flash_sale = |id: &&SaleId| id.flash_sale() == flash_sale;
        let sales: Vec<SaleId> = self.sales.keys().filter(of_flash_sale).cloned().collect();
        for sale in &sales {
            self.sales.remove(sale);
            self.items.remove(sale);
            self.purchases.remove(sale);
        }
        self.orders.retain(|_, order| !sales.contains(&order.sale));
        self.attempts.retain(|key, _| key.flash_sale != *flash_sale);
        self.watermarks.retain(|_, (of, _)| of != flash_sale);
        self.attempt_days.retain(|(of, _)| of != flash_sale);
    }

    /// A page of a catalogue.
    pub fn read_items(&self, sale: &SaleId, from: u32) -> Vec<Item> {
        self.items_from(sale, from).take(PAGE).cloned().collect()
    }

    /// At most `limit` items, each with whether it is sold.
    pub fn browse_items(
        &self,
        sale: &SaleId,
        from: u32,
        shown: Shown,
        limit: usize,
    ) -> Vec<(Item, bool)> {
        let purchases = self.purchases.get(sale);
        let is_sold =
            |item: &Item| purchases.is_some_and(|purchases| purchases.of_item(item.idx).is_some());
        self.items_from(sale, from)
            .map(|item| (item, is_sold(item)))
            .filter(|(_, sold)| match shown {
                Shown::All => true,
                Shown::Available => !sold,
                Shown::Sold => *sold,
            })
            .take(limit)
            .map(|(item, sold)| (item.clone(), sold))
            .collect()
    }

    /// The items of these indexes.
    pub fn read_items_by_index(&self, sale: &SaleId, indexes: &[u32]) -> Vec<Item> {
        let items = self.items_from(sale, 0);
        items
            .filter(|item| indexes.contains(&item.idx))
            .cloned()
            .collect()
    }

    /// Whether any sale has an item of this id.
    pub fn has_item(&self, item: &ItemId) -> bool {
        let mut catalogs = self.items.values();
        catalogs.any(|catalog| catalog.by_id(item.as_str()).is_some())
    }

    fn items_from(&self, sale: &SaleId, from: u32) -> impl Iterator<Item = &Item> {
        let catalog = self.items.get(sale);
        let items = catalog.into_iter().flat_map(|catalog| catalog.iter());
        items.skip(usize::try_from(from).unwrap_or(usize::MAX))
    }
}

/// The checks of the columns of `sales`.
fn check(sale: &Sale) -> Result<(), Violation> {
    let limits = &sale.limits;
    let checks = [
        (sale.items > 0, "sales_total_items_check"),
        (limits.per_user > 0, "sales_per_user_check"),
        (limits.per_checkout > 0, "sales_per_checkout_check"),
        (
            (1..=sale.items).contains(&limits.total),
            "sales_total_limit_check",
        ),
        (sale.partitions > 0, "sales_partitions_check"),
        (sale.format > 0, "sales_format_check"),
        (
            sale.window.ends_at > sale.window.starts_at,
            "sales_ends_at_check",
        ),
    ];
    match checks.into_iter().find(|(holds, _)| !holds) {
        None => Ok(()),
        Some((_, constraint)) => Err(Violation::check(constraint)),
    }
}

/// A time as a column of type `timestamptz` keeps it.
pub(crate) fn to_microseconds(time: Timestamp) -> Timestamp {
    // A time that was a timestamp before is one without its nanoseconds, too.
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}
