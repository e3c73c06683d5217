//! One user, as a state machine without I/O.

use std::sync::Arc;
use std::time::Duration;

use flashsale_load::client::answer::{Answer, Problem};
use flashsale_load::client::call::Call;
use flashsale_load::client::catalogue::ItemNo;
use flashsale_load::client::run_id::UserNo;
use flashsale_load::profiles::run_state::RunState;
use rand::RngExt;
use rand::rngs::SmallRng;

use super::recheck::Refused;

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);
/// Carts are open for a while, so that faults meet them.
const LONGEST_THINK: Duration = Duration::from_secs(2);
const LARGEST_CART: u8 = 3;
/// Items that were gone, in a row, before a user gives up.
const PATIENCE: u8 = 3;
/// Probabilities.
const READS_CART: f64 = 0.1;
const BUYS_AGAIN: f64 = 0.05;
const RETURNS: f64 = 0.25;
const RECHECKS: f64 = 0.05;
/// Of a purchase without an answer: what it claimed is left to the product.
const GIVES_UP: f64 = 0.2;
/// How strongly the front of the catalogue is preferred, so that users compete for items.
const SKEW: f64 = 1.3;

/// What a user does after an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Makes its next call after so long, when its turn comes.
    Think(Duration),
    /// Sends the same call again after so long.
    Retry(Duration),
    /// Goes.
    Leave,
}

/// What a user is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intent {
    Add,
    ReadCart,
    Buy,
    /// Asks for the outcome that it has.
    BuyAgain,
}

/// One user.
pub(super) struct Shopper {
    number: UserNo,
    rng: SmallRng,
    intent: Intent,
    /// The call that waits for a definitive answer.
    call: Option<Call>,
    code: Option<Arc<str>>,
    cart: u8,
    cart_size: u8,
    misses: u8,
    failures: u32,
}

impl Shopper {
    /// The next user.
    pub(super) fn arrive(state: &mut RunState) -> Self {
        let (number, mut rng) = state.new_user();
        let cart_size = rng.random_range(1..=LARGEST_CART);
        Self {
            number,
            rng,
            intent: Intent::Add,
            call: None,
            code: None,
            cart: 0,
            cart_size,
            misses: 0,
            failures: 0,
        }
    }

    /// Its number.
    pub(super) fn number(&self) -> UserNo {
        self.number
    }

    /// How often the call in progress has failed; a balancer sends it elsewhere the next time.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Its next call: the same again after a failure.
    pub(super) fn call(&mut self, state: &RunState, refused: &mut Refused) -> Call {
        let call = self.call.take();
        let call = call.unwrap_or_else(|| self.new_call(state, refused));
        self.call = Some(call.clone());
        call
    }

    fn new_call(&mut self, state: &RunState, refused: &mut Refused) -> Call {
        match (self.intent, &self.code) {
            (Intent::ReadCart, Some(code)) => Call::Cart {
                code: Arc::clone(code),
            },
            (Intent::Buy | Intent::BuyAgain, Some(code)) => Call::Purchase {
                user: self.number,
                code: Arc::clone(code),
            },
            _ => Call::Checkout {
                user: self.number,
                item: self.item(state, refused),
            },
        }
    }

    fn item(&mut self, state: &RunState, refused: &mut Refused) -> ItemNo {
        let again = self.rng.random_bool(RECHECKS).then(|| refused.take());
        again
            .flatten()
            .unwrap_or_else(|| state.pick(&mut self.rng, SKEW))
    }

    /// What it does after the answer to its call.
    pub(super) fn decide(&mut self, answer: &Answer) -> Next {
        if *answer == Answer::None && self.gives_up() {
            return Next::Leave;
        }
        if answer.is_failure() {
            let doublings = self.failures.min(5);
            self.failures += 1;
            return Next::Retry((FIRST_BACKOFF * 2_u32.pow(doublings)).min(LONGEST_BACKOFF));
        }
        self.failures = 0;
        self.call = None;
        match self.intent {
            Intent::Add => self.after_adding(answer),
            Intent::ReadCart => self.then(Intent::Buy),
            Intent::Buy if self.rng.random_bool(BUYS_AGAIN) => self.then(Intent::BuyAgain),
            Intent::Buy | Intent::BuyAgain => self.after_buying(answer),
        }
    }

    fn gives_up(&mut self) -> bool {
        self.intent == Intent::Buy && self.rng.random_bool(GIVES_UP)
    }

    fn then(&mut self, intent: Intent) -> Next {
        self.intent = intent;
        Next::Think(LONGEST_THINK.mul_f64(self.rng.random()))
    }

    fn after_adding(&mut self, answer: &Answer) -> Next {
        match answer {
            Answer::Added { code } => {
                self.code = Some(Arc::clone(code));
                self.cart += 1;
                self.misses = 0;
                match () {
                    () if self.cart < self.cart_size => self.then(Intent::Add),
                    () if self.rng.random_bool(READS_CART) => self.then(Intent::ReadCart),
                    () => self.then(Intent::Buy),
                }
            }
            Answer::Refused {
                problem: Problem::AlreadySold,
                ..
            } if self.misses < PATIENCE => {
                self.misses += 1;
                self.then(Intent::Add)
            }
            _ if self.code.is_some() => self.then(Intent::Buy),
            _ => Next::Leave,
        }
    }

    fn after_buying(&mut self, answer: &Answer) -> Next {
        let has_bought = matches!(answer, Answer::Outcome(outcome) if !outcome.bought.is_empty());
        if !has_bought || !self.rng.random_bool(RETURNS) {
            return Next::Leave;
        }
        self.code = None;
        self.cart = 0;
        self.then(Intent::Add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn added() -> Answer {
        Answer::Added { code: "C".into() }
    }

    fn closed() -> Answer {
        Answer::Refused {
            status: 400,
            problem: Problem::SaleNotActive,
        }
    }

    /// A user and what it needs to make a call.
    struct Fixture {
        state: RunState,
        refused: Refused,
        shopper: Shopper,
    }

    impl Fixture {
        fn new() -> Self {
            let mut state = RunState::new(100, 0, 1);
            let shopper = Shopper::arrive(&mut state);
            Self {
                state,
                refused: Refused::default(),
                shopper,
            }
        }

        fn call(&mut self) -> Call {
            self.shopper.call(&self.state, &mut self.refused)
        }

        /// Adds until the cart is full.
        fn fill(&mut self) {
            while self.shopper.intent == Intent::Add {
                self.call();
                assert!(matches!(self.shopper.decide(&added()), Next::Think(_)));
            }
        }
    }

    #[test]
    fn a_call_without_a_definitive_answer_is_sent_again_and_again() {
        let mut fixture = Fixture::new();
        let call = fixture.call();
        let unavailable = Answer::Refused {
            status: 503,
            problem: Problem::Unavailable,
        };
        let mut waits = Vec::new();
        for answer in [Answer::None, unavailable, Answer::None]
            .iter()
            .cycle()
            .take(9)
        {
            let Next::Retry(wait) = fixture.shopper.decide(answer) else {
                panic!("a failure is followed by the same call");
            };
            waits.push(wait);
            assert_eq!(fixture.call(), call);
        }
        assert_eq!(waits[0], FIRST_BACKOFF);
        assert!(waits.is_sorted() && waits[8] == LONGEST_BACKOFF);
        assert_eq!(fixture.shopper.failures(), 9);
        assert!(matches!(fixture.shopper.decide(&added()), Next::Think(_)));
        assert_eq!(fixture.shopper.failures(), 0);
    }

    #[test]
    fn a_full_cart_is_bought_under_its_code_until_that_has_an_outcome() {
        let mut fixture = Fixture::new();
        fixture.fill();
        if fixture.shopper.intent == Intent::ReadCart {
            fixture.call();
            fixture.shopper.decide(&Answer::Read);
        }
        let purchase = fixture.call();
        assert_eq!(
            purchase,
            Call::Purchase {
                user: 0,
                code: "C".into()
            }
        );
        let unavailable = Answer::Refused {
            status: 503,
            problem: Problem::Unavailable,
        };
        fixture.shopper.decide(&unavailable);
        assert_eq!(fixture.call(), purchase);
    }

    #[test]
    fn some_users_give_up_where_a_purchase_has_no_answer() {
        let gives_up = |number: &u32| {
            let mut fixture = Fixture::new();
            fixture.shopper.rng = SmallRng::seed_from_u64(u64::from(*number));
            fixture.shopper.intent = Intent::Buy;
            fixture.shopper.code = Some("C".into());
            fixture.call();
            fixture.shopper.decide(&Answer::None) == Next::Leave
        };
        let count = (0..500).filter(gives_up).count();
        assert!((40..180).contains(&count), "{count}");
    }

    #[test]
    fn a_user_without_a_cart_leaves_a_closed_sale_and_one_with_a_cart_tries_to_buy() {
        let mut fixture = Fixture::new();
        fixture.call();
        assert_eq!(fixture.shopper.decide(&closed()), Next::Leave);
        let mut fixture = Fixture::new();
        fixture.shopper.cart_size = 3;
        fixture.call();
        fixture.shopper.decide(&added());
        fixture.call();
        assert!(matches!(fixture.shopper.decide(&closed()), Next::Think(_)));
        assert!(matches!(fixture.call(), Call::Purchase { .. }));
    }

    #[test]
    fn some_users_ask_for_a_refused_item_again() {
        let mut fixture = Fixture::new();
        let rechecks = (0..400).filter(|_| {
            fixture.refused.push(99);
            let item = fixture.shopper.item(&fixture.state, &mut fixture.refused);
            let is_taken = fixture.refused.take().is_none();
            is_taken && item == 99
        });
        let count = rechecks.count();
        assert!((5..60).contains(&count), "{count}");
    }
}
