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
//! - A start inside the window of a sale that is there already opens nothing.

mod history;
mod known;

use flashsale_engine::sale::{SaleId, Window};
use jiff::{SignedDuration, Timestamp};

use crate::api::{PastSale, Phase};
use crate::settings::Settings;
use known::Stage;
pub use known::{KnownSale, Observed};

/// What is to be done now, what there is, and when to look again.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What to do now, in this order: what sells or is about to comes first.
    pub actions: Vec<Action>,
    /// Where the FlashSale stands.
    pub phase: Phase,
    /// How many pods are wanted.
    pub scale: Scale,
    /// The sale that is open.
    pub active: Option<SaleId>,
    /// The sale that opens next.
    pub next: Option<Upcoming>,
    /// The sales of the past within the history limits, newest first.
    pub history: Vec<PastSale>,
    /// Whether sales are in progress that should be looked after every second.
    pub attend: bool,
    /// The next moment at which another plan comes out, if nothing else changes.
    pub wake_at: Option<Timestamp>,
}

/// Something to do. All of it may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make the day partitions of the attempts and drop those that are too old.
    KeepAttempts {
        /// How many days stay.
        days: u32,
    },
    /// Put a sale into Postgres and Redis, as far as it is not there.
    Seed(Upcoming),
    /// Put right in Redis and Postgres what was lost or left behind of a seeded sale.
    KeepUp(SaleId),
    /// Take back a sale that has not started.
    Withdraw(SaleId),
    /// Stop a sale that has ended, for good.
    Close(SaleId),
    /// Bring Postgres up to date with a closed sale.
    Settle(SaleId),
    /// Delete what Redis holds of a settled sale.
    Retire(SaleId),
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
    let upcoming: Vec<Upcoming> = starts.upcoming().collect();
    for sale in late.iter().chain(&upcoming) {
        if moments.reached(sale.window.starts_at - settings.warm_up) {
            progress.preparing = true;
            moments.reached(sale.window.starts_at);
            moments.reached(starts.given_up_at(sale.window));
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

    let next = late.or_else(|| upcoming.into_iter().next());
    let phase = match () {
        () if progress.active.is_some() && progress.sold_out => Phase::SoldOut,
        () if progress.active.is_some() => Phase::Selling,
        () if progress.settling => Phase::Settling,
        () if progress.preparing => Phase::WarmingUp,
        () if progress.cooling => Phase::CoolingDown,
        () if settings.suspend => Phase::Suspended,
        () if next.is_some() => Phase::Scheduled,
        () => Phase::Finished,
    };
    let attend = progress.active.is_some() || progress.settling || progress.preparing;
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
        history: history::history(settings, observed, starts.missed(), now),
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
            Stage::Upcoming if known.gone || starts.wanted(known) => None,
            Stage::Upcoming => Some(Action::Withdraw(id)),
            Stage::Open if known.gone => None,
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
                (cool && !known.gone).then_some(Action::Retire(id))
            }
            Stage::NeverSeeded => None,
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

/// Which starts of the schedule become sales.
struct Starts<'a> {
    settings: &'a Settings,
    now: Timestamp,
    observed: &'a Observed,
}

impl Starts<'_> {
    /// The sales to come, the nearest first: those that are there and wanted, and those that
    /// the schedule has.
    fn upcoming(&self) -> impl Iterator<Item = Upcoming> {
        let limit = if self.settings.suspend {
            0
        } else {
            MAX_PREPARED
        };
        let mut after = self.now;
        std::iter::from_fn(move || {
            let start = self.settings.schedule.next_after(after)?;
            after = start;
            Some(self.upcoming_at(start))
        })
        // A start inside the window of a sale that is there opens nothing. Looking through a
        // bounded number of starts finds the next one: such a window spans few of them.
        .take(1_000)
        .filter(|sale| !self.overlaps(sale.window.starts_at))
        .take(limit)
    }

    fn upcoming_at(&self, start: Timestamp) -> Upcoming {
        let window = self.settings.window(start);
        let id = SaleId::new(&self.settings.name, start);
        match self.observed.find(&id) {
            Some(known) => known.as_upcoming(),
            None => Upcoming {
                id,
                window,
                seeded: false,
            },
        }
    }

    /// Whether a start lies inside the window of another sale that was held or will be.
    fn overlaps(&self, start: Timestamp) -> bool {
        self.observed.sales.iter().any(|other| {
            let window = other.sale.window;
            other.held()
                && window.starts_at < start
                && start < window.ends_at
                && window.starts_at <= self.now
        })
    }

    /// Whether a sale that is there and has not started is still to be opened.
    fn wanted(&self, sale: &KnownSale) -> bool {
        let start = sale.sale.window.starts_at;
        !self.settings.suspend && self.settings.schedule.has(start) && !self.overlaps(start)
    }

    /// The latest start that has passed without a sale.
    fn unheld(&self) -> Option<Upcoming> {
        let start = self.settings.schedule.last_until(self.now)?;
        let sale = self.upcoming_at(start);
        let from_before = self
            .settings
            .created_at
            .is_some_and(|created_at| start < created_at);
        (!sale.seeded && !from_before).then_some(sale)
    }

    /// The missed start that is made good now.
    fn late(&self) -> Option<Upcoming> {
        let sale = self.unheld()?;
        let open = self.now < self.given_up_at(sale.window);
        (open && !self.settings.suspend && !self.overlaps(sale.window.starts_at)).then_some(sale)
    }

    /// The missed start that is not made good any more. Where it is not known that the resource
    /// was there at that time, nothing was missed.
    fn missed(&self) -> Option<Upcoming> {
        let sale = self.unheld()?;
        let start = sale.window.starts_at;
        let there_since = self
            .settings
            .created_at
            .or_else(|| self.observed.earliest_start());
        let was_there = there_since.is_some_and(|since| since <= start);
        let given_up = self.now >= self.given_up_at(sale.window);
        (was_there && given_up && !self.settings.suspend && !self.overlaps(start)).then_some(sale)
    }

    /// From this moment on a sale that was not seeded in time is not opened any more.
    fn given_up_at(&self, window: Window) -> Timestamp {
        match self.settings.starting_deadline {
            // The deadline itself is still inside, as with a CronJob.
            Some(deadline) => window
                .ends_at
                .min(window.starts_at + deadline + SignedDuration::from_nanos(1)),
            None => window.ends_at,
        }
    }
}

#[cfg(test)]
mod tests;
