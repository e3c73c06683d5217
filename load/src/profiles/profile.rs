//! The profiles: kinds of virtual users. Their numbers are in [`crate::profiles::defaults`].

use std::rc::Rc;

use crate::client::answer::{Answer, Problem};
use crate::client::call::Call;
use crate::client::catalogue::ItemNo;
use crate::profiles::benchmark::{Checkouts, Cycle, Refusals};
use crate::profiles::narrow::{Browser, Purchases};
use crate::profiles::run_state::RunState;
use crate::profiles::shopper::User;
use crate::profiles::virtual_user::VirtualUser;

/// What kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// A few users who think a little: does everything work?
    Light,
    /// Users who never think, as fast as the answers come.
    Heavy,
    /// A rate of requests that is stepped up until the system gives in.
    Stress,
    /// Many users of different speed who browse, think, hesitate and give up.
    Realistic,
    /// Benchmark: checkouts of random users and items.
    Checkout,
    /// Benchmark: three checkouts, then one purchase, by a new user each.
    Mixed,
    /// Benchmark: checkouts of items that are sold.
    Refused,
    /// Benchmark: purchases of carts that `flashsale-load fill` has filled (--carts).
    Purchases,
    /// Benchmark: the active sale, then three pages of its items.
    Browsing,
}

impl Profile {
    /// The name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Heavy => "heavy",
            Self::Stress => "stress",
            Self::Realistic => "realistic",
            Self::Checkout => "checkout",
            Self::Mixed => "mixed",
            Self::Refused => "refused",
            Self::Purchases => "purchases",
            Self::Browsing => "browsing",
        }
    }

    /// Virtual users at the same time.
    #[must_use]
    pub fn seats(self, users: u32, connections: u32) -> u32 {
        match self {
            // Here `users` are the ids that are drawn from.
            Self::Checkout | Self::Refused | Self::Mixed | Self::Purchases | Self::Browsing => {
                connections
            }
            _ => users,
        }
    }

    /// A virtual user for a seat that has become free. `sold` are items to be refused.
    pub fn virtual_user(
        self,
        users: u32,
        sold: &Rc<[ItemNo]>,
        state: &mut RunState,
    ) -> Box<dyn VirtualUser> {
        match self {
            Self::Checkout => Box::new(Checkouts::new(users, state)),
            Self::Refused => Box::new(Refusals::new(users, Rc::clone(sold), state)),
            Self::Mixed => Box::new(Cycle::default()),
            Self::Purchases => Box::new(Purchases::default()),
            Self::Browsing => Box::new(Browser::default()),
            Self::Light | Self::Heavy | Self::Stress | Self::Realistic => {
                Box::new(User::arrive(&self.crowd(), state))
            }
        }
    }

    /// Whether an answer is what the profile exists to measure, or what a user of a sale
    /// that works can meet. `at_close`: the sale has ended or is about to.
    ///
    /// What is expected is listed, not what is not: a server that answers 404 to everything
    /// must not pass.
    #[must_use]
    pub fn expects(self, call: &Call, answer: &Answer, at_close: bool) -> bool {
        if at_close && is_answer_after_close(call, answer) {
            return true;
        }
        match (self, call, answer) {
            (Self::Checkout, Call::Checkout { .. }, answer) => {
                matches!(answer, Answer::Added { .. })
            }
            (Self::Mixed, Call::Checkout { .. }, answer) => matches!(answer, Answer::Added { .. }),
            (Self::Mixed | Self::Purchases, Call::Purchase { .. }, answer) => {
                matches!(answer, Answer::Outcome(outcome) if outcome.failed.is_empty())
            }
            (Self::Refused, Call::Checkout { .. }, answer) => matches!(
                answer,
                Answer::Refused {
                    problem: Problem::AlreadySold | Problem::SoldOut,
                    ..
                }
            ),
            _ => works(call, answer),
        }
    }

    /// Whether it takes the items of the catalogue one after the other, each once.
    #[must_use]
    pub fn walks(self) -> bool {
        self == Self::Mixed
    }

    /// Whether it buys carts that were filled before the run, each once.
    #[must_use]
    pub fn buys_filled_carts(self) -> bool {
        self == Self::Purchases
    }

    /// Whether everything may be sold, and the profile still has something to do.
    #[must_use]
    pub fn goes_on_when_sold_out(self) -> bool {
        matches!(self, Self::Refused | Self::Browsing)
    }
}

/// What a user can be answered during a sale.
fn works(call: &Call, answer: &Answer) -> bool {
    match (call, answer) {
        (Call::ActiveSale | Call::Items, Answer::Read)
        | (Call::Page { .. }, Answer::Page { .. })
        | (Call::Cart { .. }, Answer::Cart { .. })
        | (Call::Checkout { .. }, Answer::Added { .. })
        | (Call::Purchase { .. }, Answer::Outcome(_)) => true,
        (Call::Checkout { .. }, Answer::Refused { status, problem }) => matches!(
            (status, problem),
            (409, Problem::AlreadySold | Problem::SoldOut)
                | (400, Problem::LimitReached | Problem::CartFull)
        ),
        _ => false,
    }
}

/// What a user can be answered once a sale has ended, and another one may have begun.
fn is_answer_after_close(call: &Call, answer: &Answer) -> bool {
    let Answer::Refused { status, problem } = answer else {
        return false;
    };
    matches!(
        (call, status, problem),
        (Call::ActiveSale, 404, Problem::NoActiveSale)
            | (Call::Cart { .. }, 404, Problem::UnknownCode)
            // 503 until the sale is settled: a claim of the code may still be on its way.
            | (Call::Purchase { .. }, 400, Problem::SaleNotActive)
            | (Call::Purchase { .. }, 503, Problem::Unavailable)
            | (
                Call::Checkout { .. },
                400,
                Problem::SaleNotActive | Problem::ItemOfAnotherSale,
            )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, problem: Problem) -> Answer {
        Answer::Refused { status, problem }
    }

    #[test]
    fn a_benchmark_counts_as_error_what_it_does_not_measure() {
        let call = Call::Checkout { user: 0, item: 0 };
        let sold = refused(409, Problem::AlreadySold);
        let added = Answer::Added { code: "c".into() };
        assert!(Profile::Refused.expects(&call, &sold, false));
        assert!(!Profile::Refused.expects(&call, &added, false));
        assert!(Profile::Mixed.expects(&call, &added, false));
        assert!(!Profile::Mixed.expects(&call, &sold, false));
        assert!(!Profile::Checkout.expects(&call, &sold, false));
        assert!(Profile::Heavy.expects(&call, &sold, false));
        assert!(!Profile::Heavy.expects(&call, &Answer::None, false));
    }

    #[test]
    fn a_server_that_knows_nothing_passes_for_no_call_of_a_user() {
        let code = || "CHK-1".into();
        for call in [
            Call::ActiveSale,
            Call::Items,
            Call::Page { cursor: None },
            Call::Cart { code: code() },
            Call::Checkout { user: 0, item: 0 },
            Call::Purchase {
                user: 0,
                code: code(),
            },
        ] {
            for answer in [
                refused(404, Problem::Other),
                refused(404, Problem::UnknownItem),
                refused(400, Problem::InvalidUserId),
                // The right code under the wrong status.
                refused(400, Problem::AlreadySold),
            ] {
                for at_close in [false, true] {
                    let expected = Profile::Realistic.expects(&call, &answer, at_close);
                    assert!(!expected, "{call:?} {answer:?}");
                }
            }
        }
    }

    #[test]
    fn that_the_sale_is_over_is_expected_at_its_end_and_not_before() {
        let purchase = Call::Purchase {
            user: 0,
            code: "CHK-1".into(),
        };
        let checkout = Call::Checkout { user: 0, item: 0 };
        for (call, answer) in [
            (&purchase, refused(400, Problem::SaleNotActive)),
            (&checkout, refused(400, Problem::SaleNotActive)),
            (&checkout, refused(400, Problem::ItemOfAnotherSale)),
            (&Call::ActiveSale, refused(404, Problem::NoActiveSale)),
        ] {
            for profile in [Profile::Light, Profile::Mixed] {
                assert!(profile.expects(call, &answer, true), "{answer:?}");
                assert!(!profile.expects(call, &answer, false), "{answer:?}");
            }
        }
        // A code of a running sale is not forgotten at its end.
        assert!(!Profile::Light.expects(&purchase, &refused(404, Problem::UnknownCode), true));
    }
}
