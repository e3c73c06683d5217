//! The profiles: a kind of visitor, and defaults for the flags.

use std::rc::Rc;
use std::time::Duration;

use crate::answer::{Answer, Problem};
use crate::bench::{Checkouts, Cycle, Refusals};
use crate::call::Call;
use crate::catalogue::ItemNo;
use crate::market::Market;
use crate::user::{Crowd, User};
use crate::visitor::Visitor;

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
}

/// What a profile sets unless a flag says otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Defaults {
    /// Length of the run in seconds; for stress at most that long.
    pub duration_s: u64,
    /// Connections over all targets.
    pub connections: u32,
    /// Users at the same time; for checkout and refused: different users.
    pub users: u32,
    /// Requests per second of an open loop; `None` for a closed loop.
    pub rate: Option<f64>,
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
        }
    }

    /// The defaults.
    #[must_use]
    pub fn defaults(self) -> Defaults {
        let (duration_s, connections, users, rate) = match self {
            Self::Light => (30, 8, 20, None),
            Self::Heavy => (60, 64, 64, None),
            Self::Stress => (180, 256, 256, Some(500.0)),
            Self::Realistic => (60, 200, 1_000, None),
            Self::Checkout => (10, 64, 1_000_000, None),
            Self::Mixed => (10, 64, 64, None),
            Self::Refused => (10, 64, 1_000_000, None),
        };
        Defaults {
            duration_s,
            connections,
            users,
            rate,
        }
    }

    /// Visitors at the same time.
    #[must_use]
    pub fn seats(self, users: u32, connections: u32) -> u32 {
        match self {
            // Here `users` are the ids that are drawn from.
            Self::Checkout | Self::Refused | Self::Mixed => connections,
            _ => users,
        }
    }

    fn crowd(self) -> Crowd {
        let (think_ms, browses, abandons, skew) = match self {
            Self::Light => (100, 0.3, 0.1, 1.0),
            Self::Realistic => (1_000, 0.4, 0.2, 2.0),
            _ => (0, 0.1, 0.0, 1.0),
        };
        Crowd {
            think: Duration::from_millis(think_ms),
            browses,
            abandons,
            skew,
        }
    }

    /// A visitor for a seat that has become free. `sold` are items to be refused.
    pub fn visitor(self, users: u32, sold: &Rc<[ItemNo]>, market: &mut Market) -> Box<dyn Visitor> {
        match self {
            Self::Checkout => Box::new(Checkouts::new(users, market)),
            Self::Refused => Box::new(Refusals::new(users, Rc::clone(sold), market)),
            Self::Mixed => Box::new(Cycle::default()),
            Self::Light | Self::Heavy | Self::Stress | Self::Realistic => {
                Box::new(User::arrive(&self.crowd(), market))
            }
        }
    }

    /// Whether an answer is what the profile exists to measure. Users take any answer
    /// but a failure; a benchmark of something else than it says would mislead.
    #[must_use]
    pub fn expects(self, call: &Call, answer: &Answer) -> bool {
        match (self, call, answer) {
            (Self::Checkout, Call::Checkout { .. }, answer) => {
                matches!(answer, Answer::Added { .. })
            }
            (Self::Mixed, Call::Checkout { .. }, answer) => matches!(answer, Answer::Added { .. }),
            (Self::Mixed, Call::Purchase { .. }, answer) => {
                matches!(answer, Answer::Outcome(outcome) if outcome.failed.is_empty())
            }
            (Self::Refused, Call::Checkout { .. }, answer) => matches!(
                answer,
                Answer::Refused {
                    problem: Problem::AlreadySold | Problem::SoldOut,
                    ..
                }
            ),
            (_, _, answer) => !answer.is_failure(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_benchmark_counts_as_error_what_it_does_not_measure() {
        let call = Call::Checkout { user: 0, item: 0 };
        let sold = Answer::Refused {
            status: 409,
            problem: Problem::AlreadySold,
        };
        let added = Answer::Added { code: "c".into() };
        assert!(Profile::Refused.expects(&call, &sold));
        assert!(!Profile::Refused.expects(&call, &added));
        assert!(Profile::Mixed.expects(&call, &added));
        assert!(!Profile::Mixed.expects(&call, &sold));
        assert!(!Profile::Checkout.expects(&call, &sold));
        assert!(Profile::Heavy.expects(&call, &sold));
        assert!(!Profile::Heavy.expects(&call, &Answer::None));
    }
}
