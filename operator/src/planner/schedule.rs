//! When sales open.
//!
//! A cron schedule means what it means for a CronJob: a sale opens at every moment whose local
//! wall clock time, to the minute, matches the expression. So where a clock change skips a time,
//! nothing opens that day, and where it repeats a time, a sale opens at both moments; a schedule
//! of every hour opens every hour of real time. The parser reads five fields, the macros from
//! @hourly to @yearly with @midnight, and beyond CronJob `L`, `W` and `#` for days (`FRI#L`: the
//! last Friday). No seconds: the id of a sale holds its start to the minute.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// When sales open: once, or whenever a cron expression matches.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// One sale, at this moment.
    Once(Timestamp),
    /// A sale at every match.
    Cron(Box<CronSchedule>),
}

/// A cron expression that matches some day, in a time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct CronSchedule {
    cron: Cron,
    zone: TimeZone,
}

/// A clock change or the end of a search, whichever comes first, cuts it into spans of one
/// offset. No pattern needs more than the leap days around a year such as 2100, and no zone
/// changes its clock more often than a few times a year.
const MAX_SPANS: usize = 64;

impl CronSchedule {
    /// Reads the expression. Fails with what is wrong with it.
    pub fn parse(expression: &str, zone: TimeZone) -> Result<Self, String> {
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build()
            .parse(&as_vixie(expression))
            .map_err(|error| error.to_string())?;
        let schedule = Self { cron, zone };
        // Without zone and clock changes, from a fixed day: the same answer every time.
        match schedule.cron.find_next_occurrence(&REFERENCE_DAY, true) {
            Ok(_) => Ok(schedule),
            Err(_) => Err("it never matches".to_owned()),
        }
    }

    /// The first start after `after`.
    fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let mut from = after;
        let mut inclusive = false;
        for _ in 0..MAX_SPANS {
            // Inside a span of one offset, local time and real time run side by side.
            let offset = self.zone.to_offset(from);
            let span_end = self
                .zone
                .following(from)
                .next()
                .map(|change| change.timestamp());
            let civil = self
                .cron
                .find_next_occurrence(&offset.to_datetime(from), inclusive)
                .ok()?;
            let start = offset.to_timestamp(to_second(civil)).ok()?;
            match span_end {
                Some(span_end) if start >= span_end => (from, inclusive) = (span_end, true),
                _ => return Some(start),
            }
        }
        None
    }

    /// The last start at or before `at`.
    fn last_until(&self, at: Timestamp) -> Option<Timestamp> {
        let mut until = at;
        for _ in 0..MAX_SPANS {
            let offset = self.zone.to_offset(until);
            let span_start = if self.zone.to_offset(until - TICK) == offset {
                self.zone
                    .preceding(until)
                    .next()
                    .map(|change| change.timestamp())
            } else {
                Some(until) // `until` is the first moment of its span
            };
            let civil = self
                .cron
                .find_previous_occurrence(&offset.to_datetime(until), true)
                .ok()?;
            let start = offset.to_timestamp(to_second(civil)).ok()?;
            match span_start {
                Some(span_start) if start < span_start => until = span_start - TICK,
                _ => return Some(start),
            }
        }
        None
    }

    /// The two closest starts of the expression without clock changes, which limit how long a sale
    /// may be. `None` if one start only is found.
    pub fn closest_starts(&self) -> Option<(DateTime, DateTime)> {
        // A month of hourly starts, four years of daily ones; patterns repeat long before.
        const SEARCHED: usize = 1_500;
        let mut closest: Option<(DateTime, DateTime)> = None;
        let mut previous = self.cron.find_next_occurrence(&REFERENCE_DAY, true).ok()?;
        for _ in 0..SEARCHED {
            let Ok(next) = self.cron.find_next_occurrence(&previous, false) else {
                break;
            };
            if closest.is_none_or(|(a, b)| next.duration_since(previous) < b.duration_since(a)) {
                closest = Some((previous, next));
            }
            previous = next;
        }
        closest
    }
}

/// Rewrites what CronJob accepts and the parser does not to what both accept: @midnight, and a step
/// from a number (`5/15`), which goes on to the end of its field.
fn as_vixie(expression: &str) -> String {
    if expression.trim().eq_ignore_ascii_case("@midnight") {
        return "@daily".to_owned();
    }
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let part = |part: &str, last: &str| match part.split_once('/') {
        Some((from, step)) if number(from) => format!("{from}-{last}/{step}"),
        _ => part.to_owned(),
    };
    let mut lasts = ["59", "23", "31", "12", "6"].into_iter();
    let fields = expression.split_whitespace().map(|field| {
        let last = lasts.next().unwrap_or_default();
        let parts: Vec<String> = field.split(',').map(|text| part(text, last)).collect();
        parts.join(",")
    });
    fields.collect::<Vec<_>>().join(" ")
}

/// The first day of a leap year, so that a short search includes the 29th of February.
const REFERENCE_DAY: DateTime = jiff::civil::datetime(2028, 1, 1, 0, 0, 0, 0);
const TICK: SignedDuration = SignedDuration::from_nanos(1);

/// A match carries the fraction of the second from which it was searched.
fn to_second(civil: DateTime) -> DateTime {
    civil.with().subsec_nanosecond(0).build().unwrap_or(civil)
}

impl Schedule {
    /// The first start after `after`.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Once(start) => (*start > after).then_some(*start),
            Self::Cron(cron) => cron.next_after(after),
        }
    }

    /// The last start at or before `at`.
    pub fn last_until(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Once(start) => (*start <= at).then_some(*start),
            Self::Cron(cron) => cron.last_until(at),
        }
    }

    /// Whether a sale opens at exactly this moment.
    pub fn has(&self, start: Timestamp) -> bool {
        self.last_until(start) == Some(start)
    }
}

#[cfg(test)]
mod tests;
