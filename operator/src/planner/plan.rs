//! What is to be done now, and when to look again: [`plan`].
//!
//! A pure function of the settings, the time and what is known of the sales. It reads no clock,
//! asks nobody and remembers nothing, so the local driver, a Kubernetes driver and a test get
//! the same plan, and a second operator or a restart comes to the same one. Every action may be
//! carried out twice.
//!
//! The rules:
//! - A sale is seeded `warmUp` before its start. From then on it opens and closes by the clock
//!   of the stores, so there is no action to open one.
//! - A sale that is in Postgres keeps its window, whatever becomes of the schedule. One that is
//!   not wanted any more (suspended, or the schedule has moved) is withdrawn as long as it has
//!   not started; once it has started it goes on to its end.
//! - A missed start is made good only if it is the latest, within the starting deadline, after
//!   the resource was made, and its window is still open. A late sale ends on time.
//! - A start inside the window of a sale that is there already, or will be, opens nothing.

mod history;
mod known;
mod removal;
mod starts;

use std::fmt;

use flashsale_engine::{SaleId, Window};
use jiff::{SignedDuration, Timestamp};

use crate::crd::{PastSale, Phase};
use crate::planner::Settings;
use known::Stage;
pub use known::{KnownSale, Observed};
pub use removal::{Removal, removal};
use starts::Starts;

/// What is to be done now, what there is, and when to look again.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What to do now, in this order: what sells comes first, then what is about to.
    pub actions: Vec<Action>,
    /// Where the FlashSale stands.
    pub phase: Phase,
    /// How many pods are wanted.
    pub scale: Scale,
    /// The sale that is open.
    pub active: Option<SaleId>,
    /// The sale that opens next, or why none does.
    pub next: Result<Upcoming, NoNext>,
    /// The sales of the past that are known of, newest first.
    pub past: Vec<PastSale>,
    /// Those of them that are within the history limits.
    pub history: Vec<PastSale>,
    /// Whether sales are in progress that should be looked after every second.
    pub attend: bool,
    /// The next moment at which another plan comes out, if nothing else changes.
    pub wake_at: Option<Timestamp>,
}

/// Something to do. All of it may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Put right in Redis and Postgres what was lost or left behind of a seeded sale.
    KeepUp(SaleId),
    /// Stop a sale that has ended, for good.
    Close(SaleId),
    /// Take back a sale that has not started.
    Withdraw(SaleId),
    /// Put a sale into Postgres and Redis, as far as it is not there.
    Seed(Upcoming),
    /// Bring Postgres up to date with a closed sale.
    Settle(SaleId),
    /// Delete what Redis holds of a sale of the past.
    Retire(SaleId),
    /// Make the day partitions of the attempts and drop those that are too old.
    KeepAttempts {
        /// How many days stay.
        days: u32,
    },
}

impl Action {
    /// Its place among the actions of a plan. What sells comes first; what takes long comes
    /// behind what is short, because a seed of a million items takes many seconds.
    fn rank(&self, active: Option<&SaleId>) -> u8 {
        match self {
            Self::KeepUp(id) if Some(id) == active => 0,
            Self::Close(_) => 1,
            Self::Withdraw(_) => 2,
            Self::KeepUp(_) => 3,
            Self::Seed(_) => 4,
            Self::Settle(_) => 5,
            Self::Retire(_) => 6,
            Self::KeepAttempts { .. } => 7,
        }
    }
}

/// A sale to come, or one whose start was missed and is made good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upcoming {
    /// Its id.
    pub id: SaleId,
    /// When it sells.
    pub window: Window,
    /// Whether it is seeded.
    pub seeded: bool,
}

/// Why no sale is to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoNext {
    /// Further sales are held back.
    Suspended,
    /// The schedule has no further start.
    NoStart,
    /// The one sale has been held, or is open.
    Held {
        /// That sale.
        id: SaleId,
    },
    /// The one start has passed without a sale, too long ago to be made good.
    Over {
        /// The start.
        start: Timestamp,
        /// When it was given up.
        since: Timestamp,
        /// Whether it was by the starting deadline, before its window ended.
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
    /// One word, as the reason of a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Suspended => "Suspended",
            Self::NoStart => "NoStart",
            Self::Held { .. } => "Held",
            Self::Over { .. } => "StartIsOver",
            Self::Covered { .. } => "StartIsCovered",
        }
    }

    /// Whether what the resource asks for cannot be had any more.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Over { .. } | Self::Covered { .. })
    }
}

/// One sentence, which says how to go on.
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

/// How many pods are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// `replicas.idle`.
    Idle,
    /// `replicas.sale`.
    Sale,
}

/// More sales than this are never prepared at once, however long the warm-up.
const MAX_PREPARED: usize = 3;
/// How often the partitions of the attempts are looked after.
const KEEP_ATTEMPTS_EVERY: SignedDuration = SignedDuration::from_hours(6);

/// Decides what is to be done at `now`.
pub fn plan(settings: &Settings, now: Timestamp, observed: &Observed) -> Plan {
    let starts = Starts {
        settings,
        now,
        observed,
    };
    let mut moments = Moments { now, next: None };
    let mut progress = Progress::default();
    let mut actions = Vec::new();

    let late = starts.late();
    let upcoming: Vec<Upcoming> = starts.upcoming(late.as_ref()).collect();
    for sale in late.iter().chain(&upcoming) {
        if moments.reached(sale.window.starts_at - settings.warm_up) {
            progress.preparing = true;
            moments.reached(sale.window.starts_at);
            moments.reached(settings.given_up_at(sale.window));
            actions.push(match sale.seeded {
                true => Action::KeepUp(sale.id.clone()),
                false => Action::Seed(sale.clone()),
            });
        }
    }
    for known in &observed.sales {
        actions.extend(progress.look_at(known, &starts, &mut moments));
    }
    let keep_attempts_at = match observed.attempts_kept_at {
        Some(kept_at) => kept_at + KEEP_ATTEMPTS_EVERY,
        None => now,
    };
    if moments.reached(keep_attempts_at) {
        actions.push(Action::KeepAttempts {
            days: settings.attempts_retention_days,
        });
        moments.reached(now + KEEP_ATTEMPTS_EVERY);
    }
    actions.sort_by_key(|action| action.rank(progress.active.as_ref()));

    let next = late
        .or_else(|| upcoming.into_iter().next())
        .ok_or_else(|| starts.no_next());
    let phase = match () {
        () if progress.active.is_some() && progress.sold_out => Phase::SoldOut,
        () if progress.active.is_some() => Phase::Selling,
        () if progress.settling => Phase::Settling,
        () if progress.preparing => Phase::WarmingUp,
        () if progress.cooling => Phase::CoolingDown,
        () if settings.suspend => Phase::Suspended,
        () if next.is_ok() => Phase::Scheduled,
        () => Phase::Finished,
    };
    let attend = progress.active.is_some() || progress.settling || progress.preparing;
    let past = history::past(settings, observed, starts.missed(), now);
    Plan {
        actions,
        phase,
        scale: if attend || progress.cooling {
            Scale::Sale
        } else {
            Scale::Idle
        },
        active: progress.active,
        next,
        history: history::within_limits(settings, &past),
        past,
        attend,
        wake_at: moments.next,
    }
}

/// What is going on, over all sales.
#[derive(Default)]
struct Progress {
    preparing: bool,
    active: Option<SaleId>,
    sold_out: bool,
    settling: bool,
    cooling: bool,
}

impl Progress {
    /// Takes a sale that Postgres knows into account, and says what is to be done with it.
    fn look_at(
        &mut self,
        known: &KnownSale,
        starts: &Starts<'_>,
        moments: &mut Moments,
    ) -> Option<Action> {
        let id = known.sale.id.clone();
        let window = known.sale.window;
        match known.stage(moments.now) {
            Stage::Upcoming if starts.wanted(known) => None,
            Stage::Upcoming => {
                // Until then it can be taken back.
                moments.reached(window.starts_at);
                Some(Action::Withdraw(id))
            }
            Stage::Open => {
                moments.reached(window.ends_at);
                self.sold_out = known.sold >= known.sale.limits.total;
                self.active = Some(id.clone());
                Some(Action::KeepUp(id))
            }
            Stage::Ended => {
                self.settling = true;
                Some(Action::Close(id))
            }
            Stage::Closed => {
                self.settling = true;
                Some(Action::Settle(id))
            }
            Stage::Settled => {
                let cool = moments.reached(window.ends_at + starts.settings.cool_down);
                self.cooling |= !cool;
                (cool && known.retired_at.is_none()).then_some(Action::Retire(id))
            }
            // A part of it may be in Redis: it must not be opened by that.
            Stage::NeverSeeded => {
                let given_up = moments.reached(starts.settings.given_up_at(window));
                (given_up && known.retired_at.is_none()).then_some(Action::Retire(id))
            }
        }
    }
}

/// Collects the moments at which the plan changes.
struct Moments {
    now: Timestamp,
    next: Option<Timestamp>,
}

impl Moments {
    /// Whether this moment has come; if not, it is one to wake up at.
    fn reached(&mut self, moment: Timestamp) -> bool {
        if moment > self.now {
            self.next = Some(self.next.map_or(moment, |next| next.min(moment)));
        }
        moment <= self.now
    }
}

#[cfg(test)]
mod tests;
