//! The sale view: a process's copy in memory of which items are sold and of buyers' counts.
//!
//! Guarantees: exact, not probable: a bit is set because an event or a snapshot says so. The view
//! decides nothing that Redis does not decide again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use crate::domain::event::Event;
use crate::domain::outcome::ItemResultKind;
use crate::redis::scripts::snapshot::Snapshot;

/// The sold items of a sale and its buyers' counts.
#[derive(Debug)]
pub(crate) struct SaleView {
    items: u32,
    sold: Vec<AtomicU64>,
    sold_count: AtomicU32,
    buyers: RwLock<HashMap<String, u32>>,
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
        buyers.get(user).copied().unwrap_or(0)
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

    fn buyers(&self) -> RwLockWriteGuard<'_, HashMap<String, u32>> {
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

    /// Applies one event.
    pub(crate) fn apply(&self, event: &Event) {
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
                    *self.buyers().entry(outcome.user.clone()).or_default() += count;
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
                self.buyers().insert(user.clone(), *bought);
            }
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

    const SOLD: ItemOutcome = ItemOutcome::Sold {
        user_slot: 1,
        sale_slot: 0,
    };

    #[test]
    fn a_view_follows_claims_and_corrections() {
        let view = SaleView::new(100);
        view.apply(&claimed(
            "ann",
            &[(3, SOLD), (64, SOLD), (5, ItemOutcome::AlreadySold)],
        ));
        assert!(view.is_sold(3) && view.is_sold(64) && !view.is_sold(5));
        assert_eq!((view.sold_count(), view.bought("ann")), (2, 2));

        view.apply(&Event::Corrected {
            suffix: CodeSuffix::generate(0, jiff::Timestamp::UNIX_EPOCH, &SystemRandom::random()),
            user: "ann".to_owned(),
            bought: 1,
            sold: vec![3, 7],
            released: vec![64],
        });
        assert!(view.is_sold(3) && view.is_sold(7) && !view.is_sold(64));
        assert_eq!((view.sold_count(), view.bought("ann")), (2, 1));
        assert_eq!(view.bought("bob"), 0);
    }

    #[test]
    fn a_snapshot_replaces_everything_and_reads_bits_as_redis_counts_them() {
        let view = SaleView::new(70);
        view.apply(&claimed("ann", &[(1, SOLD)]));
        view.replace(Snapshot {
            epoch: "e".to_owned(),
            seq: 0,
            last_id: "0-0".to_owned(),
            bitmap: vec![0b1000_0000, 0b0000_0001],
            buyers: HashMap::from([("bob".to_owned(), 2)]),
        });
        assert!(view.is_sold(0) && view.is_sold(15) && !view.is_sold(1));
        assert_eq!(
            (view.sold_count(), view.bought("ann"), view.bought("bob")),
            (2, 0, 2)
        );
    }
}
