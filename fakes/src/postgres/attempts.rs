//! Operations on the log of attempts, `attempts`.

use std::collections::BTreeMap;

use flashsale_engine::{
    Attempt, AttemptOutcome, Cart, CheckoutCode, CodeSuffix, FlashSaleName, LoggedCart, Sale,
};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::postgres::tables::{AttemptKey, Tables};

const HOUR_US: i64 = 3_600_000_000;

/// How far outside of the window of a sale its attempts are read.
const CLOCK_MARGIN_US: i64 = HOUR_US;

/// How long the watermark of a process that died stays.
const KEEP_WATERMARKS_US: i64 = 24 * HOUR_US;

impl Tables {
    /// Appends attempts; one that is there stays as it is.
    pub fn append_attempts(&mut self, flash_sale: &FlashSaleName, attempts: &[&Attempt]) {
        for attempt in attempts {
            let key = AttemptKey {
                at_us: attempt.request.at_us,
                id: attempt.request.id.as_u128(),
                flash_sale: flash_sale.clone(),
                sale: attempt.sale.as_deref().cloned(),
                suffix: attempt.suffix,
            };
            let row = self.attempts.entry(key);
            row.or_insert_with(|| (*attempt).clone());
        }
    }

    /// The carts of a sale in one cart partition that have no order: each item at the time it was
    /// first added.
    pub fn read_carts(&self, sale: &Sale, partition: u16) -> Vec<LoggedCart> {
        let mut items: BTreeMap<(CodeSuffix, &str), BTreeMap<u32, i64>> = BTreeMap::new();
        for (suffix, user, idx, at_us) in self.added_items(sale, partition) {
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
        let code = |suffix: &CodeSuffix| CheckoutCode::format(&sale.id, suffix);
        let unbought = items
            .iter()
            .filter(|((suffix, _), _)| !self.orders.contains_key(&code(suffix)));
        unbought.map(cart).collect()
    }

    /// What was added to carts of a sale in one cart partition, in the order of times: the code, the
    /// user, the item's index and the time.
    fn added_items<'a>(
        &'a self,
        sale: &'a Sale,
        partition: u16,
    ) -> impl Iterator<Item = (CodeSuffix, &'a str, u32, i64)> {
        let from_us = sale.window.starts_at.as_microsecond() - CLOCK_MARGIN_US;
        let to_us = sale.window.ends_at.as_microsecond() + CLOCK_MARGIN_US;
        self.attempts.iter().filter_map(move |(key, attempt)| {
            let added = AttemptOutcome::IN_A_CART.contains(&attempt.outcome)
                && attempt.sale.as_deref() == Some(&sale.id)
                && (from_us..to_us).contains(&key.at_us);
            let suffix = attempt.suffix.filter(|s| s.partition() == partition)?;
            if !added {
                return None;
            }
            let item = attempt.request.item.as_ref()?;
            let item = self.items.get(&sale.id)?.by_id(item.as_str())?;
            let user = attempt.request.user.as_ref()?;
            Some((suffix, user.as_str(), item.idx, key.at_us))
        })
    }

    /// Creates the partitions of a FlashSale for `days` days from the day of `first` on.
    pub fn create_attempt_days(&mut self, flash_sale: &FlashSaleName, first: Timestamp, days: u32) {
        let first = first.to_zoned(TimeZone::UTC).date();
        let days = first.series(Span::new().days(1)).zip(0..days);
        let days = days.map(|(day, _)| (flash_sale.clone(), day));
        self.attempt_days.extend(days);
    }

    /// Drops the partitions of a FlashSale for days that ended more than `keep_days` days before
    /// `now`, and older attempts that never got a partition.
    pub fn drop_attempt_days(
        &mut self,
        flash_sale: &FlashSaleName,
        now: Timestamp,
        keep_days: u32,
    ) {
        self.delete_watermarks_before(flash_sale, now.as_microsecond() - KEEP_WATERMARKS_US);
        let keep = Span::new().days(i64::from(keep_days));
        let keep_from = now.to_zoned(TimeZone::UTC).date().saturating_sub(keep);
        self.attempt_days
            .retain(|(of, day)| of != flash_sale || *day >= keep_from);
        if let Ok(begins) = keep_from.to_zoned(TimeZone::UTC) {
            let begins_us = begins.timestamp().as_microsecond();
            self.attempts
                .retain(|key, _| key.flash_sale != *flash_sale || key.at_us >= begins_us);
        }
    }

    /// The days that have a partition of a FlashSale's attempts.
    pub fn attempt_days(&self, flash_sale: &FlashSaleName) -> Vec<Date> {
        let days = self.attempt_days.iter();
        let own = days.filter(|(of, _)| of == flash_sale);
        own.map(|(_, day)| *day).collect()
    }
}
