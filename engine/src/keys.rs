//! The names of all Redis keys. Keys of one script call share one hash tag.

use crate::sale::{FlashSaleName, SaleId};

/// Keys of the sale's own slot, tag `{<sale>}`.
#[derive(Debug, Clone)]
pub struct SaleKeys {
    /// Window, limits, counts; the script that finds no field `ready` refuses.
    pub meta: String,
    /// Bitmap by item index.
    pub sold: String,
    /// User to slots.
    pub bought: String,
    /// Code tail to outcome record.
    pub outcomes: String,
    /// Stream of claims and repairs.
    pub events: String,
    /// Sale slots given back by repairs.
    pub free_slots: String,
}

impl SaleKeys {
    /// The keys of this sale.
    pub fn new(sale: &SaleId) -> Self {
        let key = |name: &str| format!("{{{sale}}}:{name}");
        Self {
            meta: key("meta"),
            sold: key("sold"),
            bought: key("bought"),
            outcomes: key("outcomes"),
            events: key("events"),
            free_slots: key("free_slots"),
        }
    }

    /// All of them, in the order in which `claim.lua` and `repair.lua` declare them.
    pub fn all(&self) -> [&str; 6] {
        [
            &self.meta,
            &self.sold,
            &self.bought,
            &self.outcomes,
            &self.events,
            &self.free_slots,
        ]
    }
}

/// Keys of one cart partition, tag `{<sale>#<p>}`.
#[derive(Debug, Clone)]
pub struct PartitionKeys {
    /// Window and cart size; the script that finds no field `ready` refuses.
    pub meta: String,
    /// User to open cart.
    pub carts: String,
    /// Code tail to user, and to the frozen cart.
    pub codes: String,
    /// Stream of answered attempts.
    pub attempts: String,
}

impl PartitionKeys {
    /// The keys of this partition.
    pub fn new(sale: &SaleId, partition: u16) -> Self {
        let key = |name: &str| format!("{{{sale}#{partition}}}:{name}");
        Self {
            meta: key("meta"),
            carts: key("carts"),
            codes: key("codes"),
            attempts: key("attempts"),
        }
    }

    /// All of them, in the order in which `add.lua` declares them.
    pub fn all(&self) -> [&str; 4] {
        [&self.meta, &self.carts, &self.codes, &self.attempts]
    }
}

/// Hash of sale id to its description, tag `{<namespace>.<name>}`.
pub fn registry(flash_sale: &FlashSaleName) -> String {
    format!("{{{flash_sale}}}:sales")
}

/// Stream of attempts that touched no cart: refused from memory, or no sale active.
pub fn refusals(flash_sale: &FlashSaleName) -> String {
    format!("{{{flash_sale}}}:attempts")
}

/// Held by the process that rebuilds a sale, tag `{<sale>}`.
pub fn rebuild_lease(sale: &SaleId) -> String {
    format!("{{{sale}}}:rebuild")
}
