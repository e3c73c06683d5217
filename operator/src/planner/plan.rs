//! Which actions are due now, and when the next plan differs: [`plan`].
//!
//! The rules:
//! - A sale is seeded `warmUp` before its start. From then on it opens and closes by the clocks of
//!   the backends, so there is no action that opens a sale.
//! - A sale that is in Postgres keeps its window when the schedule changes. A sale that is not
//!   scheduled any more (suspended, or the schedule has moved) is withdrawn as long as it has not
//!   started; a sale that has started goes on to its end.
//! - A sale whose start was missed opens late only if the start is the latest one, within the
//!   starting deadline, after the resource was created, and its window is still open. A late sale
//!   ends on time.
//! - A start inside the window of another sale, observed or to come, opens nothing.

use flashsale_engine::SaleId;
use jiff::{SignedDuration, Timestamp};

use super::actions::{Action, Plan, Scale, Upcoming};
use super::history;
use super::observed::{Observed, ObservedSale, Stage};
use super::settings::Settings;
use super::starts::{Starts, given_up_at};
use crate::crd::Phase;

/// How often the partitions of the attempts are maintained.
const MAINTAIN_PARTITIONS_EVERY: SignedDuration = SignedDuration::from_hours(6);

/// Decides which actions are due at `now`.
pub fn plan(settings: &Settings, now: Timestamp, observed: &Observed) -> Plan {
    let starts = Starts {
        settings,
        now,
        observed,
    };
    let mut deadlines = Deadlines { now, next: None };
    let mut progress = Progress::default();

    let late = starts.late();
    let upcoming: Vec<Upcoming> = starts.upcoming(late.as_ref()).collect();
    let mut actions: Vec<Action> = late
        .iter()
        .chain(&upcoming)
        .filter_map(|sale| progress.add_upcoming(sale, settings, &mut deadlines))
        .collect();
    for sale in &observed.sales {
        actions.extend(progress.advance(sale, &starts, &mut deadlines));
    }
    actions.extend(maintain_partitions(settings, observed, &mut deadlines));
    actions.sort_by_key(|action| action.rank(progress.active.as_ref()));

    let next = late
        .or_else(|| upcoming.into_iter().next())
        .ok_or_else(|| starts.no_next());
    let past = history::past(settings, observed, starts.missed(), now);
    Plan {
        actions,
        phase: progress.phase(settings, next.is_ok()),
        scale: match progress.is_in_progress() || progress.cooling {
            true => Scale::Sale,
            false => Scale::Idle,
        },
        in_progress: progress.is_in_progress(),
        active: progress.active,
        next,
        history: history::within_limits(settings, &past),
        past,
        next_change_at: deadlines.next,
    }
}

fn maintain_partitions(
    settings: &Settings,
    observed: &Observed,
    deadlines: &mut Deadlines,
) -> Option<Action> {
    let due_at = match observed.partitions_maintained_at {
        Some(at) => at + MAINTAIN_PARTITIONS_EVERY,
        None => deadlines.now,
    };
    deadlines.has_passed(due_at).then(|| {
        deadlines.has_passed(deadlines.now + MAINTAIN_PARTITIONS_EVERY);
        Action::MaintainPartitions {
            retention_days: settings.attempts_retention_days,
        }
    })
}

/// How far the sales of a FlashSale are, over all of them.
#[derive(Default)]
struct Progress {
    preparing: bool,
    active: Option<SaleId>,
    sold_out: bool,
    settling: bool,
    cooling: bool,
}

impl Progress {
    /// Adds a sale that is to come, and returns the action that seeds it.
    fn add_upcoming(
        &mut self,
        sale: &Upcoming,
        settings: &Settings,
        deadlines: &mut Deadlines,
    ) -> Option<Action> {
        if !deadlines.has_passed(sale.window.starts_at - settings.warm_up) {
            return None;
        }
        self.preparing = true;
        deadlines.has_passed(sale.window.starts_at);
        deadlines.has_passed(given_up_at(settings, sale.window));
        Some(match sale.seeded {
            true => Action::Maintain(sale.id.clone()),
            false => Action::Seed(sale.clone()),
        })
    }

    /// Adds an observed sale, and returns the next action on it.
    fn advance(
        &mut self,
        observed: &ObservedSale,
        starts: &Starts<'_>,
        deadlines: &mut Deadlines,
    ) -> Option<Action> {
        let id = observed.sale.id.clone();
        let window = observed.sale.window;
        match observed.stage(deadlines.now) {
            Stage::Upcoming if starts.is_scheduled(observed) => None,
            Stage::Upcoming => {
                // A sale can be withdrawn until its start.
                deadlines.has_passed(window.starts_at);
                Some(Action::Withdraw(id))
            }
            Stage::Open => {
                deadlines.has_passed(window.ends_at);
                self.sold_out = observed.sold >= observed.sale.limits.total;
                self.active = Some(id.clone());
                Some(Action::Maintain(id))
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
                let is_cool = deadlines.has_passed(window.ends_at + starts.settings.cool_down);
                self.cooling |= !is_cool;
                (is_cool && observed.retired_at.is_none()).then_some(Action::Retire(id))
            }
            // Redis may hold a part of the sale, which must not open.
            Stage::NeverSeeded => {
                let given_up = deadlines.has_passed(given_up_at(starts.settings, window));
                (given_up && observed.retired_at.is_none()).then_some(Action::Retire(id))
            }
        }
    }

    /// Whether a sale is being prepared, open or being settled.
    fn is_in_progress(&self) -> bool {
        self.active.is_some() || self.settling || self.preparing
    }

    fn phase(&self, settings: &Settings, has_next: bool) -> Phase {
        match () {
            () if self.active.is_some() && self.sold_out => Phase::SoldOut,
            () if self.active.is_some() => Phase::Selling,
            () if self.settling => Phase::Settling,
            () if self.preparing => Phase::WarmingUp,
            () if self.cooling => Phase::CoolingDown,
            () if settings.suspend => Phase::Suspended,
            () if has_next => Phase::Scheduled,
            () => Phase::Finished,
        }
    }
}

/// Collects the moments at which the plan changes.
struct Deadlines {
    now: Timestamp,
    next: Option<Timestamp>,
}

impl Deadlines {
    /// Whether this moment has passed. If not, the plan changes then.
    fn has_passed(&mut self, moment: Timestamp) -> bool {
        if moment > self.now {
            self.next = Some(self.next.map_or(moment, |next| next.min(moment)));
        }
        moment <= self.now
    }
}

#[cfg(test)]
mod tests;
