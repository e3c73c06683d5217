//! Operations on the log of attempts, `attempts`.

use std::collections::{BTreeMap, BTreeSet};

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

/// An item that was added to a cart.
struct Added<'a> {
    suffix: CodeSuffix,
    user: &'a str,
    item: &'a str,
    idx: u32,
    at_us: i64,
}

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
        let mut carts: BTreeMap<(CodeSuffix, &str), Vec<Added<'_>>> = BTreeMap::new();
        let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
        for added in self.added_items(sale, partition) {
            let newest = newest.entry(added.user).or_insert(added.at_us);
            *newest = added.at_us.max(*newest);
            let cart = carts.entry((added.suffix, added.user)).or_default();
            cart.push(added);
        }
        let code = |suffix: &CodeSuffix| CheckoutCode::format(&sale.id, suffix);
        carts.retain(|(suffix, _), _| !self.orders.contains_key(&code(suffix)));
        let cart = |((suffix, user), mut added): ((_, &str), Vec<Added<'_>>)| {
            added.sort_unstable_by_key(|added| (added.at_us, added.item));
            let last_us = added.last().map(|added| added.at_us);
            let mut seen = BTreeSet::new();
            added.retain(|added| seen.insert(added.idx));
            let items: Vec<String> = added.iter().map(|added| added.idx.to_string()).collect();
            LoggedCart {
                suffix,
                is_latest: newest.get(user).copied() == last_us,
                cart: Cart {
                    user: user.to_owned(),
                    items: items.join(","),
                },
            }
        };
        carts.into_iter().map(cart).collect()
    }

    /// What was added to carts of a sale in one cart partition.
    fn added_items<'a>(
        &'a self,
        sale: &'a Sale,
        partition: u16,
    ) -> impl Iterator<Item = Added<'a>> {
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
            Some(Added {
                suffix,
                user: user.as_str(),
                item: attempt.request.item.as_ref()?.as_str(),
                idx: item.idx,
                at_us: key.at_us,
            })
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
