//! The planner's output: a plan, its actions, and the sale that opens next.

use std::fmt;

use flashsale_engine::{SaleId, Window};
use jiff::Timestamp;

use crate::crd::{PastSale, Phase};

/// The actions that are due, the desired state, and when the next plan differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The actions that are due now, in this order: those of an open sale come first, then those
    /// of a sale that is about to open.
    pub actions: Vec<Action>,
    /// The phase of the FlashSale.
    pub phase: Phase,
    /// The desired number of API pods.
    pub scale: Scale,
    /// The sale that is open.
    pub active: Option<SaleId>,
    /// The sale that opens next, or why none does.
    pub next: Result<Upcoming, NoNext>,
    /// All past sales that are observed, newest first.
    pub past: Vec<PastSale>,
    /// Those of them that are within the history limits.
    pub history: Vec<PastSale>,
    /// Whether a sale is being prepared, open or being settled, so that its backends are observed
    /// every second.
    pub in_progress: bool,
    /// The next moment at which the plan changes while the observed state stays the same.
    pub next_change_at: Option<Timestamp>,
}

/// One action. Every action may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Restore and correct what Redis holds of a seeded sale, and settle its streams.
    Maintain(SaleId),
    /// Close a sale that has ended.
    Close(SaleId),
    /// Withdraw a sale that has not started.
    Withdraw(SaleId),
    /// Write a sale to Postgres and Redis, as far as it is not there.
    Seed(Upcoming),
    /// Bring what the streams of a closed sale hold into Postgres.
    Settle(SaleId),
    /// Delete what Redis holds of a past sale.
    Retire(SaleId),
    /// Create the day partitions of the attempts and drop those that are too old.
    MaintainPartitions {
        /// How many days of attempts are kept.
        retention_days: u32,
    },
}

impl Action {
    /// Its place among the actions of a plan. The open sale comes first. Short actions come before
    /// long ones, because a seed of a million items takes many seconds.
    pub(super) fn rank(&self, active: Option<&SaleId>) -> u8 {
        match self {
            Self::Maintain(id) if Some(id) == active => 0,
            Self::Close(_) => 1,
            Self::Withdraw(_) => 2,
            Self::Maintain(_) => 3,
            Self::Seed(_) => 4,
            Self::Settle(_) => 5,
            Self::Retire(_) => 6,
            Self::MaintainPartitions { .. } => 7,
        }
    }
}

/// A sale to come, or one whose start was missed and that opens late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upcoming {
    /// Its id.
    pub id: SaleId,
    /// When it is open.
    pub window: Window,
    /// Whether it is seeded.
    pub seeded: bool,
}

/// Why no sale is to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoNext {
    /// The FlashSale is suspended.
    Suspended,
    /// The schedule has no further start.
    NoStart,
    /// The one sale was held, or is open.
    Held {
        /// That sale.
        id: SaleId,
    },
    /// The one start has passed without a sale, and the sale does not open late any more.
    Over {
        /// The start.
        start: Timestamp,
        /// When the sale was given up.
        since: Timestamp,
        /// Whether the starting deadline was the reason, and not the end of the window.
        by_deadline: bool,
    },
    /// The one start lies inside the window of another sale.
    Covered {
        /// The start.
        start: Timestamp,
        /// That sale.
        by: SaleId,
    },
}

impl NoNext {
    /// The reason of a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Suspended => "Suspended",
            Self::NoStart => "NoStart",
            Self::Held { .. } => "Held",
            Self::Over { .. } => "StartIsOver",
            Self::Covered { .. } => "StartIsCovered",
        }
    }

    /// Whether the one sale of the resource cannot be held any more.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Over { .. } | Self::Covered { .. })
    }
}

/// One sentence, with what to change where a change helps.
impl fmt::Display for NoNext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |time: &Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ");
        match self {
            Self::Suspended => write!(f, "there is no sale to come: the FlashSale is suspended"),
            Self::NoStart => write!(f, "there is no sale to come: the schedule has ended"),
            Self::Held { id } => write!(
                f,
                "there is no sale to come: startAt is that of {id}; set a new startAt for another"
            ),
            Self::Over {
                start,
                since,
                by_deadline,
            } => {
                let why = match by_deadline {
                    true => "when startingDeadlineSeconds had passed",
                    false => "when its window ended",
                };
                write!(
                    f,
                    "there is no sale to come: startAt {} is over since {}, {why}, and no sale was \
                     held; set a startAt that is to come",
                    time(start),
                    time(since),
                )
            }
            Self::Covered { start, by } => write!(
                f,
                "there is no sale to come: startAt {} lies inside the window of {by}, and opens \
                 nothing; set a startAt behind its end",
                time(start),
            ),
        }
    }
}

/// The desired number of API pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// `replicas.idle`.
    Idle,
    /// `replicas.sale`.
    Sale,
}
