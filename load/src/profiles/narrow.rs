//! The virtual users of bench profiles that call one kind of endpoint alone: purchases of carts
//! that were filled before, and reads.

use std::sync::Arc;

use crate::client::answer::Answer;
use crate::client::call::Call;
use crate::profiles::run_state::RunState;
use crate::profiles::virtual_user::{Step, VirtualUser};

/// Pages that one user reads.
const PAGES: u8 = 3;

/// Purchases of filled carts, one after the other.
#[derive(Default)]
pub struct Purchases {
    has_cart: bool,
}

impl VirtualUser for Purchases {
    fn next(&mut self, state: &mut RunState, _: Option<&Answer>) -> Step {
        let cart = state.next_cart();
        self.has_cart = cart.is_some();
        cart.map_or(Step::Leave, |(user, code)| {
            Step::Call(Call::Purchase { user, code })
        })
    }

    /// A cart that was taken and not bought would leave a gap between the sold items. The carts
    /// of a later run begin behind the sold ones and would hold some of them again.
    fn is_busy(&self) -> bool {
        self.has_cart
    }
}

/// Reads the active sale, then the first pages of its items.
#[derive(Default)]
pub struct Browser {
    has_seen_sale: bool,
    pages: u8,
}

impl Browser {
    fn page(&mut self, cursor: Option<Arc<str>>) -> Step {
        self.pages += 1;
        Step::Call(Call::Page { cursor })
    }
}

impl VirtualUser for Browser {
    fn next(&mut self, _: &mut RunState, answer: Option<&Answer>) -> Step {
        match answer {
            None if !self.has_seen_sale => {
                self.has_seen_sale = true;
                Step::Call(Call::ActiveSale)
            }
            Some(Answer::Read) => self.page(None),
            Some(Answer::Page { next: Some(next) }) if self.pages < PAGES => {
                self.page(Some(Arc::clone(next)))
            }
            // The last page, or an error.
            _ => Step::Leave,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_filled_cart_is_bought_once_in_its_order() {
        let mut state = RunState::new(10, 0, 0);
        state.fill_carts(["CHK-1".into(), "CHK-2".into()]);
        let mut buyer = Purchases::default();
        for (user, code) in [(0, "CHK-1"), (1, "CHK-2")] {
            let code = code.into();
            let expected = Step::Call(Call::Purchase { user, code });
            assert_eq!(buyer.next(&mut state, None), expected);
            assert!(buyer.is_busy(), "it would lose the cart");
        }
        assert!(state.has_no_cart_left());
        assert_eq!(buyer.next(&mut state, None), Step::Leave);
        assert!(!buyer.is_busy());
    }

    #[test]
    fn a_browser_reads_the_sale_and_three_pages_each_by_the_cursor_of_the_one_before() {
        let mut state = RunState::new(10, 0, 0);
        let mut browser = Browser::default();
        let active = browser.next(&mut state, None);
        assert_eq!(active, Step::Call(Call::ActiveSale));
        let mut answer = Answer::Read;
        for (cursor, next) in [(None, "50"), (Some("50"), "100"), (Some("100"), "150")] {
            let cursor = cursor.map(Arc::from);
            let step = browser.next(&mut state, Some(&answer));
            assert_eq!(step, Step::Call(Call::Page { cursor }));
            let next = Some(next.into());
            answer = Answer::Page { next };
        }
        assert_eq!(browser.next(&mut state, Some(&answer)), Step::Leave);
    }

    #[test]
    fn a_browser_leaves_after_the_last_page_and_after_an_error() {
        let mut state = RunState::new(10, 0, 0);
        for answer in [Answer::Page { next: None }, Answer::None] {
            let mut browser = Browser::default();
            browser.next(&mut state, None);
            assert_eq!(browser.next(&mut state, Some(&answer)), Step::Leave);
        }
    }
}
