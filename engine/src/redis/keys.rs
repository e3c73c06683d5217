//! The names of all Redis keys. Keys of one script call share one hash tag.

use crate::domain::sale::{FlashSaleName, SaleId};
use crate::redis::cluster::Slot;
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

/// Keys of one cart partition; [`partition_tag`] has their tag.
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
    /// The keys of each cart partition of a sale with so many, in the order of their numbers.
    pub fn of_sale(sale: &SaleId, partitions: u16, format: Format) -> impl Iterator<Item = Self> {
        let tag = move |number| partition_tag(sale, number, partitions, format);
        (0..partitions).map(move |number| Self::with_tag(&tag(number), format))
    }

    fn with_tag(tag: &str, format: Format) -> Self {
        let key = |name: &str| format!("{{{tag}}}:{name}");
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

/// The hash tag of a cart partition.
///
/// In version 1 it is `<sale>#<partition>`, whose slot is anywhere: two or all partitions of a sale may
/// be on one master. From version 2 on it is `<sale>#<partition>.<n>` with the first n that puts the slot
/// into the partition's own part of all slots. Masters have slots in a row, so that the partitions of a
/// sale are on as many masters as possible: one master that is away takes as few carts with it as
/// possible.
fn partition_tag(sale: &SaleId, number: u16, partitions: u16, format: Format) -> String {
    if format == Format::V1 {
        return format!("{sale}#{number}");
    }
    let tag = |n: u16| format!("{sale}#{number}.{n}");
    let is_in_its_part = |tag: &String| Slot::of_key(tag).part_of(partitions) == number;
    // One tag in `partitions` fits. Where none of all does, any one will do.
    (0..=u16::MAX)
        .map(tag)
        .find(is_in_its_part)
        .unwrap_or_else(|| tag(0))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sale() -> SaleId {
        "shop.hourly.20261123T0800Z".parse().unwrap()
    }

    fn metas(partitions: u16, format: Format) -> Vec<String> {
        let sale = sale();
        let keys = PartitionKeys::of_sale(&sale, partitions, format);
        keys.map(|keys| keys.meta).collect()
    }

    // A sale that is on keeps its names: other names are another version of the format.
    #[test]
    fn the_names_of_each_version_stay_as_they_are() {
        let v1 = [
            "{shop.hourly.20261123T0800Z#0}:meta",
            "{shop.hourly.20261123T0800Z#1}:meta",
            "{shop.hourly.20261123T0800Z#2}:meta",
        ];
        assert_eq!(metas(3, Format::V1), v1);
        let v2 = [
            "{shop.hourly.20261123T0800Z#0.2}:meta",
            "{shop.hourly.20261123T0800Z#1.0}:meta",
            "{shop.hourly.20261123T0800Z#2.3}:meta",
        ];
        assert_eq!(metas(3, Format::V2), v2);
    }

    #[test]
    fn each_partition_is_in_its_own_part_of_the_slots() {
        for partitions in [1, 2, 3, 6, 16, 100] {
            let metas = metas(partitions, Format::V2);
            assert_eq!(metas.len(), usize::from(partitions));
            for (number, meta) in (0..).zip(metas) {
                assert_eq!(Slot::of_key(&meta).part_of(partitions), number, "{meta}");
            }
        }
    }
}
