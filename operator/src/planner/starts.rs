//! Which starts of the schedule become sales.

use flashsale_engine::SaleId;
use jiff::{SignedDuration, Timestamp};

use super::known::{KnownSale, Observed};
use super::{MAX_PREPARED, NoNext, Upcoming};
use crate::planner::Schedule;
use crate::planner::Settings;

pub(super) struct Starts<'a> {
    pub(super) settings: &'a Settings,
    pub(super) now: Timestamp,
    pub(super) observed: &'a Observed,
}

impl Starts<'_> {
    /// The sales to come, the nearest first: those that are there and wanted, and those that
    /// the schedule has.
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
                // A start inside the window of a sale that is there opens nothing.
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

    /// The sale of a start. None where a sale that started within the same minute has its id.
    fn sale_at(&self, start: Timestamp) -> Option<Upcoming> {
        let id = SaleId::new(&self.settings.name, start);
        match self.observed.find(&id) {
            Some(known) if known.sale.window.starts_at == start => Some(known.as_upcoming()),
            Some(known) if known.sale.window.starts_at <= self.now => None,
            _ => Some(Upcoming {
                id,
                window: self.settings.window(start),
                seeded: false,
            }),
        }
    }

    /// The other sale inside whose window a start lies, if it was held or will be.
    fn covering(&self, start: Timestamp) -> Option<&KnownSale> {
        self.observed.sales.iter().find(|other| {
            let window = other.sale.window;
            let inside = window.starts_at < start && start < window.ends_at;
            inside
                && match window.starts_at <= self.now {
                    true => other.held(),
                    // This ends: each asks about an earlier start.
                    false => self.wanted(other),
                }
        })
    }

    /// Whether a sale that is there and has not started is still to be opened.
    pub(super) fn wanted(&self, sale: &KnownSale) -> bool {
        let start = sale.sale.window.starts_at;
        !self.settings.suspend
            && self.settings.schedule.has(start)
            && self.covering(start).is_none()
    }

    /// The latest start that has passed without a sale.
    fn unheld(&self) -> Option<Upcoming> {
        let start = self.settings.schedule.last_until(self.now)?;
        let sale = self.sale_at(start)?;
        let from_before = self
            .settings
            .created_at
            .is_some_and(|created_at| start < created_at);
        let held_back = self.settings.suspend || self.covering(start).is_some();
        (!sale.seeded && !from_before && !held_back).then_some(sale)
    }

    fn given_up(&self, sale: &Upcoming) -> bool {
        let known = self.observed.find(&sale.id);
        // Redis was told to forget it: it is not brought back.
        let forgotten = known.is_some_and(|known| known.retired_at.is_some());
        forgotten || self.now >= self.settings.given_up_at(sale.window)
    }

    /// The missed start that is made good now.
    pub(super) fn late(&self) -> Option<Upcoming> {
        self.unheld().filter(|sale| !self.given_up(sale))
    }

    /// The missed start that is not made good any more. Where it is not known that the resource
    /// was there at that time and not suspended, nothing was missed.
    pub(super) fn missed(&self) -> Option<Upcoming> {
        let there_since = self
            .settings
            .created_at
            .or_else(|| self.observed.earliest_start())?
            .max(self.observed.resumed_at.unwrap_or(Timestamp::MIN));
        self.unheld()
            .filter(|sale| there_since <= sale.window.starts_at && self.given_up(sale))
    }

    /// Why there is no sale to come, where there is none.
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
                let since = self.settings.given_up_at(sale.window);
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
