//! What all users of a run know together: which items are gone, who is next.
//!
//! It stands for the page that every user sees, and keeps numbers apart: no user
//! number and no request number is handed out twice.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::client::answer::{Answer, Problem};
use crate::client::call::Call;
use crate::client::catalogue::ItemNo;
use crate::client::run_id::{RequestNo, UserNo};

/// A set of item numbers, a bit each.
struct ItemSet {
    words: Vec<u64>,
    count: u64,
}

impl ItemSet {
    fn new(items: u32) -> Self {
        Self {
            words: vec![0; items.div_ceil(64) as usize],
            count: 0,
        }
    }

    fn holds(&self, item: ItemNo) -> bool {
        self.words
            .get(item as usize / 64)
            .is_none_or(|word| word >> (item % 64) & 1 == 1)
    }

    fn insert(&mut self, item: ItemNo) {
        if !self.holds(item) {
            self.words[item as usize / 64] |= 1 << (item % 64);
            self.count += 1;
        }
    }

    /// The first item from `from` on, around the end, that is not in the set.
    fn next_absent(&self, from: ItemNo, items: u32) -> Option<ItemNo> {
        self.absent_in(from, items)
            .or_else(|| self.absent_in(0, from))
    }

    fn absent_in(&self, mut item: ItemNo, end: ItemNo) -> Option<ItemNo> {
        while item < end {
            let absent = !self.words[item as usize / 64] >> (item % 64);
            if absent != 0 {
                let found = item + absent.trailing_zeros();
                return (found < end).then_some(found);
            }
            item = (item / 64 + 1) * 64;
        }
        None
    }
}

/// Items and users, as the generator sees them.
pub struct RunState {
    items: u32,
    seed: u64,
    /// Known to be sold, to anyone.
    sold: ItemSet,
    /// Bought by users of this run.
    bought: ItemSet,
    sold_out: bool,
    next_user: UserNo,
    next_request: RequestNo,
    next_item: ItemNo,
    /// Filled before the run, and not taken yet.
    carts: VecDeque<Arc<str>>,
}

impl RunState {
    /// A state of `items` items, of which `walk_from` and those after it are walked.
    #[must_use]
    pub fn new(items: u32, walk_from: ItemNo, seed: u64) -> Self {
        Self {
            items,
            seed,
            sold: ItemSet::new(items),
            bought: ItemSet::new(items),
            sold_out: false,
            next_user: 0,
            next_request: 0,
            next_item: walk_from,
            carts: VecDeque::new(),
        }
    }

    /// A new user and the dice that belong to him: the same for the same seed,
    /// however the users of a run interleave.
    pub fn new_user(&mut self) -> (UserNo, SmallRng) {
        let user = self.next_user;
        self.next_user = self.next_user.wrapping_add(1);
        // Multiplied by an odd number, so that neighbours share no seed.
        let own = u64::from(user).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (user, SmallRng::seed_from_u64(self.seed ^ own))
    }

    /// The number of the next request.
    pub fn new_request(&mut self) -> RequestNo {
        let request = self.next_request;
        self.next_request = self.next_request.wrapping_add(1);
        request
    }

    /// Any item, sold or not.
    pub fn any(&self, rng: &mut SmallRng) -> ItemNo {
        rng.random_range(0..self.items.max(1))
    }

    /// An item that looks free. `skew` 1 likes all items alike; higher ones prefer
    /// the front of the catalogue, where everybody looks first.
    pub fn pick(&self, rng: &mut SmallRng, skew: f64) -> ItemNo {
        let place = rng.random::<f64>().powf(skew) * f64::from(self.items);
        let item = (place as ItemNo).min(self.items.saturating_sub(1));
        self.sold.next_absent(item, self.items).unwrap_or(item)
    }

    /// The next item of the walk through the catalogue; `None` behind its end, for what
    /// comes again there is sold.
    pub fn walk(&mut self) -> Option<ItemNo> {
        let item = self.next_item;
        (item < self.items).then(|| {
            self.next_item = item + 1;
            item
        })
    }

    /// Whether the walk has come to the end of the catalogue.
    #[must_use]
    pub fn is_walked_through(&self) -> bool {
        self.next_item >= self.items
    }

    /// Adds the checkout codes of filled carts, of a user each.
    pub fn fill_carts(&mut self, codes: impl IntoIterator<Item = Arc<str>>) {
        self.carts.extend(codes);
    }

    /// The next filled cart and its user; `None` where all were taken.
    pub fn next_cart(&mut self) -> Option<(UserNo, Arc<str>)> {
        let code = self.carts.pop_front()?;
        let (user, _) = self.new_user();
        Some((user, code))
    }

    /// Whether all filled carts were taken.
    #[must_use]
    pub fn has_no_cart_left(&self) -> bool {
        self.carts.is_empty()
    }

    /// Takes note of items that were sold before the run.
    pub fn learn_sold(&mut self, items: &[ItemNo]) {
        for item in items {
            self.sold.insert(*item);
        }
    }

    /// Takes note of what an answer says about items.
    pub fn learn(&mut self, call: &Call, answer: &Answer) {
        match (call, answer) {
            (Call::Checkout { item, .. }, Answer::Refused { problem, .. }) => match problem {
                Problem::AlreadySold => self.sold.insert(*item),
                Problem::SoldOut => self.sold_out = true,
                _ => {}
            },
            (_, Answer::Outcome(outcome)) => {
                for item in &outcome.bought {
                    self.sold.insert(*item);
                    self.bought.insert(*item);
                }
                for (item, reason) in &outcome.failed {
                    if *reason == Problem::AlreadySold {
                        self.sold.insert(*item);
                    }
                }
            }
            _ => {}
        }
    }

    /// Items that users of this run have bought.
    #[must_use]
    pub fn bought(&self) -> u64 {
        self.bought.count
    }

    /// Whether the API has said that nothing is left.
    #[must_use]
    pub fn is_sold_out(&self) -> bool {
        self.sold_out || self.sold.count >= u64::from(self.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sold(state: &mut RunState, item: ItemNo) {
        let call = Call::Checkout { user: 0, item };
        let answer = Answer::Refused {
            status: 409,
            problem: Problem::AlreadySold,
        };
        state.learn(&call, &answer);
    }

    #[test]
    fn users_find_the_last_free_item_wherever_it_is() {
        for last in [0, 63, 64, 127, 199] {
            let mut state = RunState::new(200, 0, 1);
            (0..200)
                .filter(|item| *item != last)
                .for_each(|item| sold(&mut state, item));
            assert!(!state.is_sold_out());
            let (_, mut rng) = state.new_user();
            for skew in [1.0, 2.0] {
                for _ in 0..50 {
                    assert_eq!(state.pick(&mut rng, skew), last);
                }
            }
            sold(&mut state, last);
            assert!(state.is_sold_out());
            assert!(state.pick(&mut rng, 1.0) < 200);
        }
    }

    #[test]
    fn a_seed_gives_the_same_users_again() {
        let (mut one, mut two) = (RunState::new(9, 0, 7), RunState::new(9, 0, 7));
        let (user, mut dice) = one.new_user();
        let (same, mut same_dice) = two.new_user();
        assert_eq!(
            (user, dice.random::<u64>()),
            (same, same_dice.random::<u64>())
        );
        let (next, mut other_dice) = one.new_user();
        assert_ne!(
            (user, dice.random::<u64>()),
            (next, other_dice.random::<u64>())
        );
    }

    #[test]
    fn the_walk_ends_with_the_catalogue() {
        let mut state = RunState::new(3, 1, 0);
        let walked: Vec<_> = (0..2).map(|_| state.walk()).collect();
        assert_eq!(walked, [Some(1), Some(2)]);
        assert!(state.is_walked_through());
        assert_eq!(state.walk(), None);
    }
}
