//! Operations on the log of attempts, `checkout_attempts`.

use std::collections::{BTreeMap, BTreeSet};

use flashsale_engine::{Attempt, AttemptOutcome, Cart, CodeSuffix, LoggedCart, Sale};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::postgres::tables::Tables;

impl Tables {
    /// Appends attempts; one whose time and id are there stays as it is.
    pub fn append_attempts(&mut self, attempts: &[&Attempt]) {
        for attempt in attempts {
            let key = (attempt.request.at_us, attempt.request.id.as_u128());
            let row = self.attempts.entry(key);
            row.or_insert_with(|| (*attempt).clone());
        }
    }

    /// The carts of a sale that have no order: each item at the time it was first added.
    pub fn read_carts(&self, sale: &Sale) -> Vec<LoggedCart> {
        let mut items: BTreeMap<(CodeSuffix, &str), BTreeMap<u32, i64>> = BTreeMap::new();
        for (suffix, user, idx, at_us) in self.added_items(sale) {
            let added_at = items.entry((suffix, user)).or_default().entry(idx);
            // Attempts are read in the order of their times: the first is the earliest.
            added_at.or_insert(at_us);
        }
        let last_us = |added: &BTreeMap<u32, i64>| added.values().copied().max();
        let mut newest: BTreeMap<&str, Option<i64>> = BTreeMap::new();
        for ((_, user), added) in &items {
            let newest = newest.entry(user).or_default();
            *newest = last_us(added).max(*newest);
        }
        let cart = |((suffix, user), added): (&(CodeSuffix, &str), &BTreeMap<u32, i64>)| {
            let mut in_order: Vec<(i64, u32)> = added.iter().map(|(i, at)| (*at, *i)).collect();
            in_order.sort_unstable();
            let items = in_order.iter().map(|(_, idx)| idx.to_string());
            LoggedCart {
                suffix: *suffix,
                cart: Cart {
                    user: (*user).to_owned(),
                    items: items.collect::<Vec<_>>().join(","),
                },
                is_latest: newest.get(user) == Some(&last_us(added)),
            }
        };
        items.iter().map(cart).collect()
    }

    /// What was added to carts of a sale without an order, in the order of times: the code, the
    /// user, the item's index and the time.
    fn added_items<'a>(
        &'a self,
        sale: &'a Sale,
    ) -> impl Iterator<Item = (CodeSuffix, &'a str, u32, i64)> {
        let starts_us = sale.window.starts_at.as_microsecond();
        let ends_us = sale.window.ends_at.as_microsecond();
        let in_window = self
            .attempts
            .range((starts_us, 0)..(ends_us.max(starts_us), 0));
        in_window.filter_map(move |((at_us, _), attempt)| {
            let added = attempt.outcome == AttemptOutcome::Added
                && attempt.sale.as_deref() == Some(&sale.id);
            if !added || self.orders.contains_key(&attempt.code()?) {
                return None;
            }
            let item = attempt.request.item.as_ref()?;
            let item = self.items.get(&sale.id)?.by_id(item.as_str())?;
            let user = attempt.request.user.as_ref()?;
            Some((attempt.suffix?, user.as_str(), item.idx, *at_us))
        })
    }

    /// Creates the partitions of `days` days from the day of `first` on.
    pub fn create_attempt_days(&mut self, first: Timestamp, days: u32) {
        let first = first.to_zoned(TimeZone::UTC).date();
        let days = first.series(Span::new().days(1)).zip(0..days);
        self.attempt_days.extend(days.map(|(day, _)| day));
    }

    /// Drops the partitions of days that ended more than `keep_days` days before `now`, and older
    /// attempts that never got a partition.
    pub fn drop_attempt_days(&mut self, now: Timestamp, keep_days: u32) {
        let keep = Span::new().days(i64::from(keep_days));
        let keep_from = now.to_zoned(TimeZone::UTC).date().saturating_sub(keep);
        self.attempt_days = self.attempt_days.split_off(&keep_from);
        if let Ok(begins) = keep_from.to_zoned(TimeZone::UTC) {
            let begins_us = begins.timestamp().as_microsecond();
            self.attempts = self.attempts.split_off(&(begins_us, 0));
        }
    }

    /// The days that have a partition.
    pub fn attempt_days(&self) -> &BTreeSet<jiff::civil::Date> {
        &self.attempt_days
    }
}
