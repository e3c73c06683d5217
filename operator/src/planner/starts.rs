//! Which starts of the schedule become sales.

use flashsale_engine::{SaleId, Window};
use jiff::{SignedDuration, Timestamp};

use super::actions::{NoNext, Upcoming};
use super::observed::{Observed, ObservedSale};
use super::schedule::Schedule;
use super::settings::Settings;

/// More sales than this are never prepared at once, however long the warm-up.
pub(super) const MAX_PREPARED: usize = 3;

/// The moment from which a sale that was not seeded in time does not open any more.
pub(super) fn given_up_at(settings: &Settings, window: Window) -> Timestamp {
    match settings.starting_deadline {
        // The deadline itself is still inside, as with a CronJob.
        Some(deadline) => window
            .ends_at
            .min(window.starts_at + deadline + SignedDuration::from_nanos(1)),
        None => window.ends_at,
    }
}

/// The starts of a schedule, beside the sales that are observed.
pub(super) struct Starts<'a> {
    pub(super) settings: &'a Settings,
    pub(super) now: Timestamp,
    pub(super) observed: &'a Observed,
}

impl Starts<'_> {
    /// The sales to come, the nearest first: those that are observed and still scheduled, and those
    /// of further starts of the schedule.
    pub(super) fn upcoming(&self, late: Option<&Upcoming>) -> impl Iterator<Item = Upcoming> {
        let limit = if self.settings.suspend {
            0
        } else {
            MAX_PREPARED
        };
        let mut after = self.now;
        let next = move || loop {
            let start = self.settings.schedule.next_after(after)?;
            let late = late.map(|late| late.window);
            let around = late.filter(|window| window.contains(start)).or_else(|| {
                let other = self.covering(start)?;
                Some(other.sale.window)
            });
            match around {
                // A start inside the window of another sale opens nothing.
                Some(window) => after = window.ends_at - SignedDuration::from_nanos(1),
                None => {
                    after = start;
                    if let Some(sale) = self.sale_at(start) {
                        return Some(sale);
                    }
                }
            }
        };
        std::iter::from_fn(next).take(limit)
    }

    /// The sale of a start. `None` if a sale that started within the same minute has its id.
    fn sale_at(&self, start: Timestamp) -> Option<Upcoming> {
        let id = SaleId::new(&self.settings.name, start);
        match self.observed.find(&id) {
            Some(observed) if observed.sale.window.starts_at == start => {
                Some(observed.as_upcoming())
            }
            Some(observed) if observed.sale.window.starts_at <= self.now => None,
            _ => Some(Upcoming {
                id,
                window: self.settings.window(start),
                seeded: false,
            }),
        }
    }

    /// The other sale inside whose window a start lies, if that sale was held or will be.
    fn covering(&self, start: Timestamp) -> Option<&ObservedSale> {
        self.observed.sales.iter().find(|other| {
            let window = other.sale.window;
            let inside = window.starts_at < start && start < window.ends_at;
            inside
                && match window.starts_at <= self.now {
                    true => other.is_held(),
                    // The recursion ends, because each call has an earlier start.
                    false => self.is_scheduled(other),
                }
        })
    }

    /// Whether an observed sale that has not started is still to be opened.
    pub(super) fn is_scheduled(&self, sale: &ObservedSale) -> bool {
        let start = sale.sale.window.starts_at;
        !self.settings.suspend
            && self.settings.schedule.has(start)
            && self.covering(start).is_none()
    }

    /// The latest start that has passed without a sale.
    fn latest_without_sale(&self) -> Option<Upcoming> {
        let start = self.settings.schedule.last_until(self.now)?;
        let sale = self.sale_at(start)?;
        let is_before_creation = self
            .settings
            .created_at
            .is_some_and(|created_at| start < created_at);
        let opens_nothing = self.settings.suspend || self.covering(start).is_some();
        (!sale.seeded && !is_before_creation && !opens_nothing).then_some(sale)
    }

    fn is_given_up(&self, sale: &Upcoming) -> bool {
        let observed = self.observed.find(&sale.id);
        // A retired sale is not seeded again.
        let is_retired = observed.is_some_and(|observed| observed.retired_at.is_some());
        is_retired || self.now >= given_up_at(self.settings, sale.window)
    }

    /// The sale whose start was missed and that opens late now.
    pub(super) fn late(&self) -> Option<Upcoming> {
        self.latest_without_sale()
            .filter(|sale| !self.is_given_up(sale))
    }

    /// The sale whose start was missed and that does not open late any more. A start counts as
    /// missed only if the resource existed then, and was not suspended.
    pub(super) fn missed(&self) -> Option<Upcoming> {
        let active_since = self
            .settings
            .created_at
            .or_else(|| self.observed.earliest_start())?
            .max(self.observed.resumed_at.unwrap_or(Timestamp::MIN));
        self.latest_without_sale()
            .filter(|sale| active_since <= sale.window.starts_at && self.is_given_up(sale))
    }

    /// Why there is no sale to come.
    pub(super) fn no_next(&self) -> NoNext {
        let start = match self.settings.schedule {
            _ if self.settings.suspend => return NoNext::Suspended,
            Schedule::Cron(_) => return NoNext::NoStart,
            Schedule::Once(start) => start,
        };
        if let Some(other) = self.covering(start) {
            let by = other.sale.id.clone();
            return NoNext::Covered { start, by };
        }
        match self.sale_at(start) {
            Some(sale) if !sale.seeded => {
                let since = given_up_at(self.settings, sale.window);
                NoNext::Over {
                    start,
                    since,
                    by_deadline: since < sale.window.ends_at,
                }
            }
            _ => NoNext::Held {
                id: SaleId::new(&self.settings.name, start),
            },
        }
    }
}
