//! The sale view: a process's copy in memory of which items are sold and of buyers' counts.
//!
//! Guarantees: exact, not probable: a bit is set because an event or a snapshot says so. The view
//! decides nothing that Redis does not decide again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use crate::domain::event::Event;
use crate::domain::outcome::ItemResultKind;
use crate::redis::scripts::snapshot::{Buyer, Snapshot};

/// The sold items of a sale and its buyers' counts.
#[derive(Debug)]
pub(crate) struct SaleView {
    items: u32,
    sold: Vec<AtomicU64>,
    sold_count: AtomicU32,
    buyers: RwLock<HashMap<String, Buyer>>,
    caught_up: AtomicBool,
}

impl SaleView {
    /// A view that has read nothing yet.
    pub(crate) fn new(items: u32) -> Self {
        let words = (items as usize).div_ceil(64);
        Self {
            items,
            sold: (0..words).map(|_| AtomicU64::new(0)).collect(),
            sold_count: AtomicU32::new(0),
            buyers: RwLock::default(),
            caught_up: AtomicBool::new(false),
        }
    }

    /// Whether the item is sold.
    pub(crate) fn is_sold(&self, idx: u32) -> bool {
        self.sold
            .get(idx as usize / 64)
            .is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (idx % 64)) != 0)
    }

    /// How many items are sold.
    pub(crate) fn sold_count(&self) -> u32 {
        self.sold_count.load(Ordering::Relaxed)
    }

    /// How many items the user has bought.
    pub(crate) fn bought(&self, user: &str) -> u32 {
        // Counts are whole between any two statements, so a panic elsewhere spoils nothing.
        let buyers = self.buyers.read().unwrap_or_else(PoisonError::into_inner);
        buyers.get(user).map_or(0, |buyer| buyer.items)
    }

    /// Whether the view has taken a snapshot; before that nothing is refused from it.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Relaxed)
    }

    fn set(&self, idx: u32, sold: bool) {
        let Some(word) = self.sold.get(idx as usize / 64) else {
            return;
        };
        let bit = 1_u64 << (idx % 64);
        let before = if sold {
            word.fetch_or(bit, Ordering::Relaxed)
        } else {
            word.fetch_and(!bit, Ordering::Relaxed)
        };
        match (before & bit != 0, sold) {
            (false, true) => self.sold_count.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.sold_count.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    fn buyers(&self) -> RwLockWriteGuard<'_, HashMap<String, Buyer>> {
        self.buyers.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces everything by a snapshot.
    pub(crate) fn replace(&self, snapshot: Snapshot) {
        // Redis counts bits from the highest of the first byte.
        let sold = |idx: u32| {
            let byte = snapshot.bitmap.get(idx as usize / 8).copied();
            byte.unwrap_or(0) & (0x80 >> (idx % 8)) != 0
        };
        for idx in 0..self.items {
            self.set(idx, sold(idx));
        }
        *self.buyers() = snapshot.buyers;
        self.caught_up.store(true, Ordering::Relaxed);
    }

    /// Applies one event of the entry with this number.
    pub(crate) fn apply(&self, seq: u64, event: &Event) {
        match event {
            Event::Claimed { outcome, .. } => {
                let mut count = 0;
                for (idx, kind) in outcome.kinds() {
                    if kind == ItemResultKind::Sold {
                        self.set(idx, true);
                        count += 1;
                    }
                }
                if count > 0 {
                    self.count(seq, &outcome.user, |items| items + count);
                }
            }
            Event::Corrected {
                user,
                bought,
                sold,
                released,
                ..
            } => {
                for idx in sold {
                    self.set(*idx, true);
                }
                for idx in released {
                    self.set(*idx, false);
                }
                self.count(seq, user, |_| *bought);
            }
        }
    }

    /// Changes the count of a buyer, unless the snapshot was taken behind this event.
    fn count(&self, seq: u64, user: &str, change: impl FnOnce(u32) -> u32) {
        let mut buyers = self.buyers();
        let buyer = match buyers.get_mut(user) {
            Some(buyer) => buyer,
            None => buyers.entry(user.to_owned()).or_default(),
        };
        if seq > buyer.as_of {
            buyer.items = change(buyer.items);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::code::CodeSuffix;
    use crate::domain::outcome::{ItemOutcome, ItemResult, Outcome};
    use crate::system::SystemRandom;

    fn claimed(user: &str, outcomes: &[(u32, ItemOutcome)]) -> Event {
        Event::Claimed {
            suffix: CodeSuffix::generate(0, jiff::Timestamp::UNIX_EPOCH, &SystemRandom::random()),
            outcome: Outcome {
                user: user.to_owned(),
                request_id: "r".to_owned(),
                at_ms: 0,
                results: outcomes
                    .iter()
                    .map(|(idx, outcome)| ItemResult {
                        idx: *idx,
                        outcome: *outcome,
                    })
                    .collect(),
            },
        }
    }

    fn corrected(user: &str, bought: u32, sold: Vec<u32>, released: Vec<u32>) -> Event {
        Event::Corrected {
            suffix: CodeSuffix::generate(0, jiff::Timestamp::UNIX_EPOCH, &SystemRandom::random()),
            user: user.to_owned(),
            bought,
            sold,
            released,
        }
    }

    const SOLD: ItemOutcome = ItemOutcome::Sold {
        user_slot: 1,
        sale_slot: 0,
    };

    #[test]
    fn a_view_follows_claims_and_corrections() {
        let view = SaleView::new(100);
        let results = [(3, SOLD), (64, SOLD), (5, ItemOutcome::AlreadySold)];
        view.apply(1, &claimed("ann", &results));
        assert!(view.is_sold(3) && view.is_sold(64) && !view.is_sold(5));
        assert_eq!((view.sold_count(), view.bought("ann")), (2, 2));

        view.apply(2, &corrected("ann", 1, vec![3, 7], vec![64]));
        assert!(view.is_sold(3) && view.is_sold(7) && !view.is_sold(64));
        assert_eq!((view.sold_count(), view.bought("ann")), (2, 1));
        assert_eq!(view.bought("bob"), 0);
    }

    #[test]
    fn a_snapshot_replaces_everything_and_reads_bits_as_redis_counts_them() {
        let view = SaleView::new(70);
        view.apply(1, &claimed("ann", &[(1, SOLD)]));
        view.replace(snapshot(
            7,
            vec![0b1000_0000, 0b0000_0001],
            &[("bob", 2, 7)],
        ));
        assert!(view.is_sold(0) && view.is_sold(15) && !view.is_sold(1));
        assert_eq!(
            (view.sold_count(), view.bought("ann"), view.bought("bob")),
            (2, 0, 2)
        );
    }
    fn snapshot(seq: u64, bitmap: Vec<u8>, buyers: &[(&str, u32, u64)]) -> Snapshot {
        let buyer = |(user, items, as_of): &(&str, u32, u64)| {
            let (items, as_of) = (*items, *as_of);
            ((*user).to_owned(), Buyer { items, as_of })
        };
        Snapshot {
            epoch: "e".to_owned(),
            seq,
            last_id: "0-0".to_owned(),
            bitmap,
            buyers: buyers.iter().map(buyer).collect(),
        }
    }

    #[test]
    fn an_event_that_a_buyers_page_already_has_is_not_counted_again() {
        let view = SaleView::new(100);
        // Buyers were read behind events 8 and 9; the bitmap is older.
        view.replace(snapshot(7, vec![0], &[("ann", 2, 8), ("bob", 1, 9)]));
        view.apply(8, &claimed("ann", &[(1, SOLD)]));
        view.apply(9, &claimed("ann", &[(2, SOLD)]));
        view.apply(9, &claimed("ann", &[(3, SOLD)]));
        view.apply(9, &corrected("bob", 0, vec![], vec![5]));
        view.apply(9, &claimed("cid", &[(4, SOLD)]));
        assert!([1, 2, 3, 4].into_iter().all(|idx| view.is_sold(idx)));
        let bought = ["ann", "bob", "cid"].map(|user| view.bought(user));
        assert_eq!(bought, [4, 1, 1]);
        view.apply(10, &corrected("bob", 0, vec![], vec![5]));
        assert_eq!(view.bought("bob"), 0);
    }
}
