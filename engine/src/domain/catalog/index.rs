//! From an id to its item.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::Item;

/// From id to item in 4 to 16 bytes an item: the ids themselves stay where they are, a second
/// copy of a million of them as map keys would cost more than the index.
#[derive(Clone)]
pub(super) struct IdIndex {
    hasher: RandomState,
    /// Item numbers by hash, open addressing, at most half full; `FREE` where there is none.
    slots: Vec<u32>,
}

const FREE: u32 = u32::MAX;

impl IdIndex {
    /// Fails with the first two items that share an id.
    pub(super) fn build(items: &[Item]) -> Result<Self, (&Item, &Item)> {
        let size = (items.len() * 2).next_power_of_two();
        let mut index = Self {
            hasher: RandomState::new(),
            slots: vec![FREE; size],
        };
        for item in items {
            match index.locate(items, &item.id) {
                Ok(first) => return Err((first, item)),
                Err(slot) => index.slots[slot] = item.idx,
            }
        }
        Ok(index)
    }

    pub(super) fn find<'a>(&self, items: &'a [Item], id: &str) -> Option<&'a Item> {
        self.locate(items, id).ok()
    }

    /// The item with this id, or the slot that it would take.
    fn locate<'a>(&self, items: &'a [Item], id: &str) -> Result<&'a Item, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = self.hasher.hash_one(id) as usize & mask;
        // Ends: the table is at most half full.
        loop {
            match self.slots[slot] {
                FREE => return Err(slot),
                idx if items[idx as usize].id == id => return Ok(&items[idx as usize]),
                _ => slot = (slot + 1) & mask,
            }
        }
    }
}
