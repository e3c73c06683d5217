//! The virtual users of the bench profiles: no thinking, no choice, one question each.

use std::rc::Rc;
use std::sync::Arc;

use rand::RngExt;
use rand::rngs::SmallRng;

use crate::client::answer::Answer;
use crate::client::call::Call;
use crate::client::catalogue::ItemNo;
use crate::client::run_id::UserNo;
use crate::profiles::run_state::RunState;
use crate::profiles::virtual_user::{Step, VirtualUser};

/// Checkouts in one cycle of the mixed flow.
const CART: u8 = 3;

/// Checkouts of random users and random items.
pub struct Checkouts {
    rng: SmallRng,
    users: u32,
}

impl Checkouts {
    /// `users` different users.
    pub fn new(users: u32, state: &mut RunState) -> Self {
        let (_, rng) = state.new_user();
        Self {
            rng,
            users: users.max(1),
        }
    }
}

impl VirtualUser for Checkouts {
    fn next(&mut self, state: &mut RunState, _: Option<&Answer>) -> Step {
        Step::Call(Call::Checkout {
            user: self.rng.random_range(0..self.users),
            item: state.any(&mut self.rng),
        })
    }
}

/// Checkouts of items that are sold.
pub struct Refusals {
    rng: SmallRng,
    users: u32,
    sold: Rc<[ItemNo]>,
}

impl Refusals {
    /// `sold` must not be empty.
    pub fn new(users: u32, sold: Rc<[ItemNo]>, state: &mut RunState) -> Self {
        let (_, rng) = state.new_user();
        Self {
            rng,
            users: users.max(1),
            sold,
        }
    }
}

impl VirtualUser for Refusals {
    fn next(&mut self, _: &mut RunState, _: Option<&Answer>) -> Step {
        if self.sold.is_empty() {
            return Step::Leave;
        }
        Step::Call(Call::Checkout {
            user: self.rng.random_range(0..self.users),
            item: self.sold[self.rng.random_range(0..self.sold.len())],
        })
    }
}

/// Three checkouts of the next items of the walk, then the purchase; each cycle by a
/// user who is new, so that no limit is met.
#[derive(Default)]
pub struct Cycle {
    user: UserNo,
    began: bool,
    added: u8,
    code: Option<Arc<str>>,
}

impl VirtualUser for Cycle {
    fn next(&mut self, state: &mut RunState, answer: Option<&Answer>) -> Step {
        match answer {
            None => {
                (self.user, _) = state.new_user();
                self.began = true;
            }
            Some(Answer::Added { code }) => {
                self.added += 1;
                self.code = Some(Arc::clone(code));
            }
            // The purchase is answered, or the cart has failed: the cycle is over.
            Some(_) => return Step::Leave,
        }
        let user = self.user;
        match &self.code {
            Some(code) if self.added >= CART => Step::Call(Call::Purchase {
                user,
                code: Arc::clone(code),
            }),
            _ => match state.walk() {
                Some(item) => Step::Call(Call::Checkout { user, item }),
                // The run notices too, and ends.
                None => Step::Leave,
            },
        }
    }

    /// An item that was walked over without being bought would be met again by the next
    /// run, which starts behind what is sold.
    fn is_busy(&self) -> bool {
        self.began
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_three_checkouts_of_neighbours_and_one_purchase() {
        let mut state = RunState::new(1_000, 10, 0);
        let mut cycle = Cycle::default();
        let added = Answer::Added {
            code: "CHK-1".into(),
        };
        let mut answer = None;
        for item in 10..13 {
            let step = cycle.next(&mut state, answer.as_ref());
            assert_eq!(step, Step::Call(Call::Checkout { user: 0, item }));
            answer = Some(added.clone());
        }
        let purchase = Step::Call(Call::Purchase {
            user: 0,
            code: "CHK-1".into(),
        });
        assert_eq!(cycle.next(&mut state, answer.as_ref()), purchase);
        assert!(cycle.is_busy());
        assert_eq!(cycle.next(&mut state, Some(&Answer::Read)), Step::Leave);

        let step = Cycle::default().next(&mut state, None);
        assert_eq!(step, Step::Call(Call::Checkout { user: 1, item: 13 }));
    }
}
