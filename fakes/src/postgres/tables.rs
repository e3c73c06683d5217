//! The tables of the fake database, with their keys.

use std::collections::{BTreeMap, BTreeSet};

use flashsale_engine::{
    Attempt, BackendError, Catalog, CodeSuffix, FlashSaleName, ItemResultKind, Sale, SaleId,
    SaleRecord, Watermark,
};
use jiff::Timestamp;
use jiff::civil::Date;

/// All tables.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub sales: BTreeMap<SaleId, SaleRow>,
    /// Catalogues; they go with their sale.
    pub items: BTreeMap<SaleId, Catalog>,
    /// By code, in the order of its bytes.
    pub orders: BTreeMap<String, OrderRow>,
    /// What each sale sold; the sale itself may be gone.
    pub purchases: BTreeMap<SaleId, Purchases>,
    /// By their key, in the order of their times.
    pub attempts: BTreeMap<AttemptKey, Attempt>,
    /// Days that have a partition of a FlashSale's attempts.
    pub attempt_days: BTreeSet<(FlashSaleName, Date)>,
    /// Up to when processes have settled what they answered, each with its FlashSale.
    pub watermarks: BTreeMap<u64, (FlashSaleName, Watermark)>,
}

/// The key of `attempts`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AttemptKey {
    /// Unix time in microseconds.
    pub at_us: i64,
    pub id: u128,
    pub flash_sale: FlashSaleName,
    pub sale: Option<SaleId>,
    pub suffix: Option<CodeSuffix>,
}

/// A row of `sales`.
#[derive(Debug)]
pub(crate) struct SaleRow {
    pub sale: Sale,
    pub seeded_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub settled_at: Option<Timestamp>,
    pub retired_at: Option<Timestamp>,
    /// Counted when the sale was settled.
    pub sold: Option<u32>,
}

/// A row of `orders`.
#[derive(Debug)]
pub(crate) struct OrderRow {
    pub sale: SaleId,
    pub user: String,
    pub request_id: String,
    pub at_ms: i64,
    pub results: Vec<(u32, ItemResultKind)>,
}

/// A row of `purchases`, without its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PurchaseRow {
    pub user: String,
    pub user_slot: u32,
    /// None where the sale needs no such slots.
    pub sale_slot: Option<u32>,
}

/// The rows of `purchases` of one sale, by each of their keys.
#[derive(Debug, Default)]
pub(crate) struct Purchases {
    by_item: BTreeMap<u32, PurchaseRow>,
    user_slots: BTreeMap<String, BTreeSet<u32>>,
    sale_slots: BTreeSet<u32>,
}

impl Purchases {
    /// The rows from item `from` on, in order.
    pub fn from(&self, from: u32) -> impl Iterator<Item = (u32, &PurchaseRow)> {
        self.by_item.range(from..).map(|(idx, row)| (*idx, row))
    }

    /// The row of an item.
    pub fn of_item(&self, idx: u32) -> Option<&PurchaseRow> {
        self.by_item.get(&idx)
    }

    /// How many items are sold.
    pub fn count(&self) -> u32 {
        u32::try_from(self.by_item.len()).unwrap_or(u32::MAX)
    }

    /// Whether a user has this slot.
    pub fn has_user_slot(&self, user: &str, slot: u32) -> bool {
        self.user_slots
            .get(user)
            .is_some_and(|slots| slots.contains(&slot))
    }

    /// Whether a purchase has this sale slot.
    pub fn has_sale_slot(&self, slot: u32) -> bool {
        self.sale_slots.contains(&slot)
    }

    /// The highest sale slot; 0 for none.
    pub fn highest_sale_slot(&self) -> u32 {
        self.sale_slots.last().copied().unwrap_or(0)
    }

    /// Inserts a row, when its columns are valid and its keys free.
    pub fn insert(&mut self, idx: u32, row: PurchaseRow) -> Result<(), Violation> {
        if row.user_slot < 1 {
            return Err(Violation::check("purchases_user_slot_check"));
        }
        if row.sale_slot.is_some_and(|slot| slot < 1) {
            return Err(Violation::check("purchases_sale_slot_check"));
        }
        if self.by_item.contains_key(&idx) {
            return Err(Violation::unique("purchases_pkey"));
        }
        if self.has_user_slot(&row.user, row.user_slot) {
            return Err(Violation::unique("purchases_sale_id_user_id_user_slot_key"));
        }
        if row.sale_slot.is_some_and(|slot| self.has_sale_slot(slot)) {
            return Err(Violation::unique("purchases_by_sale_slot"));
        }
        let slots = self.user_slots.entry(row.user.clone()).or_default();
        slots.insert(row.user_slot);
        self.sale_slots.extend(row.sale_slot);
        self.by_item.insert(idx, row);
        Ok(())
    }

    /// Deletes a row.
    pub fn delete(&mut self, idx: u32) {
        let Some(row) = self.by_item.remove(&idx) else {
            return;
        };
        if let Some(slots) = self.user_slots.get_mut(&row.user) {
            slots.remove(&row.user_slot);
        }
        if let Some(slot) = row.sale_slot {
            self.sale_slots.remove(&slot);
        }
    }
}

impl SaleRow {
    /// The row as the seam returns it, with the count of purchases where none is fixed.
    pub fn record(&self, purchases: Option<&Purchases>) -> SaleRecord {
        SaleRecord {
            sale: self.sale.clone(),
            seeded_at: self.seeded_at,
            closed_at: self.closed_at,
            settled_at: self.settled_at,
            retired_at: self.retired_at,
            sold: self
                .sold
                .unwrap_or_else(|| purchases.map_or(0, Purchases::count)),
        }
    }

    /// The trigger `purchases_within_sale`, for one row.
    pub fn admits(&self, idx: u32, row: &PurchaseRow) -> bool {
        let Sale { limits, items, .. } = &self.sale;
        let slot_fits = |slot: u32| slot <= limits.total;
        idx < *items
            && row.user_slot <= limits.per_user
            && (!self.sale.needs_sale_slots() || row.sale_slot.is_some_and(slot_fits))
    }
}

/// A constraint that a row violates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Violation {
    sqlstate: &'static str,
    constraint: &'static str,
}

impl Violation {
    /// A key that is taken.
    pub fn unique(constraint: &'static str) -> Self {
        Self {
            sqlstate: "23505",
            constraint,
        }
    }

    /// An order of a sale that is settled.
    pub fn sale_settled() -> Self {
        Self {
            sqlstate: "FS001",
            constraint: "orders_before_settlement",
        }
    }

    /// A value that is outside of its range.
    pub fn check(constraint: &'static str) -> Self {
        Self {
            sqlstate: "23514",
            constraint,
        }
    }

    /// The error as the seam returns it.
    pub fn into_backend_error(self, operation: &'static str) -> BackendError {
        BackendError::Postgres {
            operation,
            sqlstate: Some(self.sqlstate.to_owned()),
            message: format!("the row violates the constraint {:?}", self.constraint),
        }
    }
}
