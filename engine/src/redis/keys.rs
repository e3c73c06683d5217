//! The names of all Redis keys. Keys of one script call share one hash tag.

use crate::domain::sale::{FlashSaleName, SaleId};
use crate::redis::codec::Format;

/// Keys of the sale's own slot, tag `{<sale>}`.
#[derive(Debug, Clone)]
pub struct SaleKeys {
    /// The format of what the keys hold.
    pub format: Format,
    /// Window, limits, counts; the script that finds no field `ready` refuses.
    pub meta: String,
    /// Bitmap by item index.
    pub sold: String,
    /// User to slots.
    pub bought: String,
    /// Code suffix to outcome.
    pub outcomes: String,
    /// Stream of claims and corrections.
    pub events: String,
    /// Sale slots that corrections gave back.
    pub free_slots: String,
}

impl SaleKeys {
    /// The keys of this sale.
    pub fn new(sale: &SaleId, format: Format) -> Self {
        let key = |name: &str| format!("{{{sale}}}:{name}");
        Self {
            format,
            meta: key("meta"),
            sold: key("sold"),
            bought: key("bought"),
            outcomes: key("outcomes"),
            events: key("events"),
            free_slots: key("free_slots"),
        }
    }

    /// All of them, in the order in which `claim.lua` and `correct.lua` declare them.
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
    /// The format of what the keys hold.
    pub format: Format,
    /// Window and cart size; the script that finds no field `ready` refuses.
    pub meta: String,
    /// User to open cart.
    pub carts: String,
    /// Code suffix to user, and to the frozen cart.
    pub codes: String,
    /// Stream of answered attempts.
    pub attempts: String,
    /// Held by the process that restores the carts.
    pub restore_lease: String,
}

impl PartitionKeys {
    /// The keys of this partition.
    pub fn new(sale: &SaleId, partition: u16, format: Format) -> Self {
        let key = |name: &str| format!("{{{sale}#{partition}}}:{name}");
        Self {
            format,
            meta: key("meta"),
            carts: key("carts"),
            codes: key("codes"),
            attempts: key("attempts"),
            restore_lease: key("restore"),
        }
    }

    /// All of them, in the order in which `update_carts.lua` declares them.
    pub fn all(&self) -> [&str; 4] {
        [&self.meta, &self.carts, &self.codes, &self.attempts]
    }
}

/// Hash of sale id to its description, tag `{<namespace>.<name>}`.
pub fn registry(flash_sale: &FlashSaleName) -> String {
    format!("{{{flash_sale}}}:sales")
}

/// Streams of attempts that touched no cart: refused from memory, or no sale active. The first takes
/// them all while its node answers. The slots of eight tags are next to never on one master.
pub fn refusals(flash_sale: &FlashSaleName) -> [String; 8] {
    std::array::from_fn(|n| match n {
        0 => format!("{{{flash_sale}}}:attempts"),
        _ => format!("{{{flash_sale}#{n}}}:attempts"),
    })
}

/// Held by the process that restores a sale, tag `{<sale>}`.
pub fn restore_lease(sale: &SaleId) -> String {
    format!("{{{sale}}}:rebuild")
}
