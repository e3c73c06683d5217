//! A user with a will of his own, as a state machine without I/O.
//!
//! He looks at the sale, browses, thinks, adds to his cart, hesitates, buys, comes
//! back, gives up, and asks again after an error. [`decide`] is the whole machine.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, RngExt};

use crate::client::answer::{Answer, Problem};
use crate::client::call::Call;
use crate::client::catalogue::ItemNo;
use crate::client::run_id::UserNo;
use crate::profiles::run_state::RunState;
use crate::profiles::virtual_user::{Step, VirtualUser};

/// Longest time that a user waits between two calls.
const LONGEST_THINK: Duration = Duration::from_secs(20);
/// Wait before asking again after an error; doubled with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// What the users of a profile have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crowd {
    /// Mean time between two calls of a user of ordinary speed.
    pub think: Duration,
    /// Probability of browsing again between two items.
    pub browses: f64,
    /// Probability of leaving a full cart alone.
    pub abandons: f64,
    /// How strongly the front of the catalogue is preferred; 1 is not at all.
    pub skew: f64,
}

/// One user's temper.
#[derive(Debug, Clone, PartialEq)]
pub struct Persona {
    /// Mean time between two calls.
    pub think: Duration,
    /// Items he wants in his cart, 1 to 10.
    pub cart_size: u8,
    /// Sold items, and errors, that he puts up with before he stops trying.
    pub patience: u8,
    /// Probability of browsing again between two items.
    pub browses: f64,
    /// Probability of leaving a full cart alone.
    pub abandons: f64,
    /// Probability of pressing the buy button a second time.
    pub repeats: f64,
    /// Probability of starting another cart after a purchase.
    pub returns: f64,
    /// See [`Crowd::skew`].
    pub skew: f64,
}

impl Persona {
    /// Draws a user of a crowd: a fifth of them is quick, a fifth is slow.
    pub fn draw(crowd: &Crowd, rng: &mut SmallRng) -> Self {
        let speed = match rng.random_range(0..5) {
            0 => 0.25,
            1 => 3.0,
            _ => 1.0,
        };
        Self {
            think: crowd.think.mul_f64(speed),
            cart_size: rng.random_range(1..=10),
            patience: rng.random_range(2..=8),
            browses: crowd.browses,
            abandons: crowd.abandons,
            repeats: 0.05,
            returns: 0.25,
            skew: crowd.skew,
        }
    }
}

/// What a user is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// See whether there is a sale.
    SeeSale,
    /// See what there is to buy.
    Browse,
    /// Add an item that looks free.
    Add,
    /// Add the same item again, after an error.
    AddAgain,
    /// Look at the cart once more.
    Hesitate,
    /// Buy the cart.
    Buy,
    /// Buy the cart again: a second press, or after an error.
    BuyAgain,
}

/// How far a user has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journey {
    /// Items in the cart.
    pub cart: u8,
    /// The code of the cart.
    pub code: Option<Arc<str>>,
    /// Items that were gone, in a row.
    pub misses: u8,
    /// Calls that failed, in a row.
    pub errors: u8,
    /// The purchase was answered.
    pub has_bought: bool,
}

/// The decision after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Do this, after thinking.
    Think(Intent),
    /// Do this after having waited for the server to recover.
    BackOff(Intent),
    /// Do this at once.
    AtOnce(Intent),
    /// Go.
    Leave,
}

/// What a user does after the answer to what he has just done.
pub fn decide(
    persona: &Persona,
    mut journey: Journey,
    done: Intent,
    answer: &Answer,
    rng: &mut impl Rng,
) -> (Journey, Next) {
    if answer.is_failure() {
        journey.errors = journey.errors.saturating_add(1);
        let next = match done {
            _ if journey.errors > persona.patience => Next::Leave,
            Intent::Add => Next::BackOff(Intent::AddAgain),
            Intent::Buy => Next::BackOff(Intent::BuyAgain),
            again => Next::BackOff(again),
        };
        return (journey, next);
    }
    journey.errors = 0;
    let next = match done {
        // No sale: it may open, so look again.
        Intent::SeeSale if matches!(answer, Answer::Refused { .. }) => {
            journey.misses = journey.misses.saturating_add(1);
            if journey.misses > persona.patience {
                Next::Leave
            } else {
                Next::Think(Intent::SeeSale)
            }
        }
        Intent::SeeSale => Next::Think(Intent::Browse),
        Intent::Browse => Next::Think(Intent::Add),
        Intent::Hesitate if rng.random_bool(persona.abandons) => Next::Leave,
        Intent::Hesitate => Next::Think(Intent::Buy),
        Intent::Add | Intent::AddAgain => after_adding(persona, &mut journey, answer, rng),
        Intent::Buy | Intent::BuyAgain => after_buying(persona, &mut journey, answer, rng),
    };
    (journey, next)
}

fn after_adding(
    persona: &Persona,
    journey: &mut Journey,
    answer: &Answer,
    rng: &mut impl Rng,
) -> Next {
    let problem = match answer {
        Answer::Added { code } => {
            journey.code = Some(Arc::clone(code));
            journey.cart = journey.cart.saturating_add(1);
            journey.misses = 0;
            return if journey.cart >= persona.cart_size {
                finish_cart(persona, rng)
            } else if rng.random_bool(persona.browses) {
                Next::Think(Intent::Browse)
            } else {
                Next::Think(Intent::Add)
            };
        }
        Answer::Refused { problem, .. } => *problem,
        _ => return Next::Leave,
    };
    let has_cart = journey.code.is_some();
    match problem {
        Problem::AlreadySold => {
            journey.misses = journey.misses.saturating_add(1);
            match () {
                () if journey.misses <= persona.patience => Next::Think(Intent::Add),
                () if has_cart => Next::Think(Intent::Buy),
                () => Next::Leave,
            }
        }
        Problem::CartFull | Problem::SoldOut if has_cart => Next::Think(Intent::Buy),
        _ => Next::Leave,
    }
}

fn finish_cart(persona: &Persona, rng: &mut impl Rng) -> Next {
    if rng.random_bool(persona.browses) {
        Next::Think(Intent::Hesitate)
    } else if rng.random_bool(persona.abandons) {
        Next::Leave
    } else {
        Next::Think(Intent::Buy)
    }
}

fn after_buying(
    persona: &Persona,
    journey: &mut Journey,
    answer: &Answer,
    rng: &mut impl Rng,
) -> Next {
    if !journey.has_bought && rng.random_bool(persona.repeats) {
        journey.has_bought = true;
        return Next::AtOnce(Intent::BuyAgain);
    }
    let bought = matches!(answer, Answer::Outcome(outcome) if !outcome.bought.is_empty());
    *journey = Journey::default();
    if bought && rng.random_bool(persona.returns) {
        Next::Think(Intent::Add)
    } else {
        Next::Leave
    }
}

/// One user at his seat.
pub struct User {
    number: UserNo,
    rng: SmallRng,
    persona: Persona,
    journey: Journey,
    item: ItemNo,
    /// What was called last, and still waits for its answer.
    done: Option<Intent>,
    /// What comes after the thinking.
    intent: Intent,
    /// What the server has asked for, until the next call.
    asked_to_wait: Duration,
}

impl User {
    /// The next user of a crowd.
    pub fn arrive(crowd: &Crowd, state: &mut RunState) -> Self {
        let (number, mut rng) = state.new_user();
        Self {
            number,
            persona: Persona::draw(crowd, &mut rng),
            rng,
            journey: Journey::default(),
            item: 0,
            done: None,
            intent: Intent::SeeSale,
            asked_to_wait: Duration::ZERO,
        }
    }

    /// An exponential time: most pauses are short, some are long.
    fn think(&mut self) -> Duration {
        let factor = -(1.0 - self.rng.random::<f64>()).ln();
        self.persona.think.mul_f64(factor).min(LONGEST_THINK)
    }

    /// A wait that doubles with each error; longer where the server asks for it, but a
    /// second for each error that he would put up with is as long as he sits there.
    fn back_off(&self) -> Duration {
        let doublings = u32::from(self.journey.errors.saturating_sub(1)).min(6);
        let patience = Duration::from_secs(self.persona.patience.into());
        let own = FIRST_BACKOFF * 2_u32.pow(doublings);
        own.max(self.asked_to_wait.min(patience))
    }

    fn call(&mut self, state: &RunState) -> Step {
        self.asked_to_wait = Duration::ZERO;
        self.done = Some(self.intent);
        let call = match (self.intent, &self.journey.code) {
            (Intent::SeeSale, _) => Call::ActiveSale,
            (Intent::Browse, _) => Call::Items,
            (Intent::Add, _) => {
                self.item = state.pick(&mut self.rng, self.persona.skew);
                self.checkout()
            }
            (Intent::AddAgain, _) => self.checkout(),
            (Intent::Hesitate, Some(code)) => Call::Cart {
                code: Arc::clone(code),
            },
            (Intent::Buy | Intent::BuyAgain, Some(code)) => Call::Purchase {
                user: self.number,
                code: Arc::clone(code),
            },
            (Intent::Hesitate | Intent::Buy | Intent::BuyAgain, None) => return Step::Leave,
        };
        Step::Call(call)
    }

    fn checkout(&self) -> Call {
        Call::Checkout {
            user: self.number,
            item: self.item,
        }
    }
}

impl VirtualUser for User {
    fn next(&mut self, state: &mut RunState, answer: Option<&Answer>) -> Step {
        let (Some(answer), Some(done)) = (answer, self.done.take()) else {
            return self.call(state);
        };
        let journey = std::mem::take(&mut self.journey);
        let (journey, next) = decide(&self.persona, journey, done, answer, &mut self.rng);
        self.journey = journey;
        let (intent, pause) = match next {
            Next::Leave => return Step::Leave,
            Next::AtOnce(intent) => (intent, Duration::ZERO),
            Next::Think(intent) => (intent, self.think()),
            Next::BackOff(intent) => (intent, self.back_off()),
        };
        self.intent = intent;
        if pause.is_zero() {
            self.call(state)
        } else {
            Step::Think(pause)
        }
    }

    fn asked_to_wait(&mut self, pause: Duration) {
        self.asked_to_wait = pause;
    }
}

#[cfg(test)]
mod tests;
