//! The outcome of a code, as the scripts write it and as Postgres keeps it.
//!
//! The text form is `user|request id|unix ms|results`, a result for each item of the cart in
//! its order: `idx:s:<user slot>:<sale slot or 0>`, `idx:a` (already sold), `idx:l` (limit).

use std::fmt::Write as _;

use crate::code::CodeTail;
use crate::error::StoreError;
use crate::sale::SaleId;

/// What became of one item of a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemOutcome {
    /// The code has it.
    Sold {
        /// Which of the user's `1..=perUser` places it takes.
        user_slot: u32,
        /// Which of the sale's `1..=total` places it takes; 0 where the sale needs none.
        sale_slot: u32,
    },
    /// Another code has it.
    AlreadySold,
    /// The user, or the sale, may have no more.
    LimitReached,
}

impl ItemOutcome {
    /// The word that `orders.results` and the HTTP answer use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sold { .. } => "sold",
            Self::AlreadySold => "already_sold",
            Self::LimitReached => "limit_reached",
        }
    }
}

/// An item of a cart with its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemResult {
    /// Index in the sale's catalogue.
    pub idx: u32,
    /// What became of it.
    pub outcome: ItemOutcome,
}

/// The outcome of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose cart it was.
    pub user: String,
    /// The request that decided it.
    pub request_id: String,
    /// When Redis decided it, Unix time in milliseconds.
    pub at_ms: i64,
    /// In the order of the cart.
    pub results: Vec<ItemResult>,
}

/// An outcome on its way to Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The sale it belongs to.
    pub sale: SaleId,
    /// The code, short form.
    pub tail: CodeTail,
    /// What Redis decided.
    pub record: Record,
    /// Whether Redis had decided it before: Postgres probably has it.
    pub replayed: bool,
}

impl Record {
    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let bad = || StoreError::unexpected("outcome record", "user|request id|ms|results", text);
        let mut parts = text.splitn(4, '|');
        let mut part = || parts.next().ok_or_else(bad);
        let (user, request_id, at_ms, results) = (part()?, part()?, part()?, part()?);
        Ok(Self {
            user: user.to_owned(),
            request_id: request_id.to_owned(),
            at_ms: at_ms.parse().map_err(|_| bad())?,
            results: results
                .split(',')
                .map(|result| parse_result(result).ok_or_else(bad))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Writes the text form.
    pub fn format(&self) -> String {
        let mut text = format!("{}|{}|{}|", self.user, self.request_id, self.at_ms);
        for (n, result) in self.results.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            let idx = result.idx;
            // Writing into a String cannot fail.
            let _ = match result.outcome {
                ItemOutcome::Sold {
                    user_slot,
                    sale_slot,
                } => write!(text, "{comma}{idx}:s:{user_slot}:{sale_slot}"),
                ItemOutcome::AlreadySold => write!(text, "{comma}{idx}:a"),
                ItemOutcome::LimitReached => write!(text, "{comma}{idx}:l"),
            };
        }
        text
    }

    /// How many items the code got.
    pub fn sold_count(&self) -> usize {
        let sold = |r: &&ItemResult| matches!(r.outcome, ItemOutcome::Sold { .. });
        self.results.iter().filter(sold).count()
    }

    /// Whether both sell and refuse the same items; slots may differ.
    pub fn agrees_with(&self, other: &Record) -> bool {
        let words = |record: &Record| -> Vec<(u32, &'static str)> {
            let word = |r: &ItemResult| (r.idx, r.outcome.as_str());
            record.results.iter().map(word).collect()
        };
        self.user == other.user && words(self) == words(other)
    }
}

fn parse_result(text: &str) -> Option<ItemResult> {
    let mut parts = text.split(':');
    let idx = parts.next()?.parse().ok()?;
    let outcome = match parts.next()? {
        "s" => ItemOutcome::Sold {
            user_slot: parts.next()?.parse().ok()?,
            sale_slot: parts.next()?.parse().ok()?,
        },
        "a" => ItemOutcome::AlreadySold,
        "l" => ItemOutcome::LimitReached,
        _ => return None,
    };
    Some(ItemResult { idx, outcome })
}

/// One line of an entry of the events stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A code was decided.
    Claimed {
        /// The code, short form.
        tail: CodeTail,
        /// Its outcome.
        record: Record,
    },
    /// Postgres decided otherwise, or Redis had lost something.
    Repaired {
        /// The user whose count changed.
        user: String,
        /// Items that the user has now.
        bought: u32,
        /// Items that are sold.
        sold: Vec<u32>,
        /// Items that are for sale again.
        released: Vec<u32>,
    },
}

impl Event {
    /// Reads the lines of an entry.
    pub fn parse_entry(text: &str) -> Result<Vec<Self>, StoreError> {
        text.lines().map(Self::parse).collect()
    }

    fn parse(line: &str) -> Result<Self, StoreError> {
        let bad = || StoreError::unexpected("event", "c|tail|record or r|tail|user|…", line);
        if let Some(claimed) = line.strip_prefix("c|") {
            let (tail, record) = claimed.split_once('|').ok_or_else(bad)?;
            return Ok(Self::Claimed {
                tail: CodeTail::parse(tail).ok_or_else(bad)?,
                record: Record::parse(record)?,
            });
        }
        let parts: Vec<&str> = line.split('|').collect();
        let ["r", _tail, user, bought, sold, released] = parts[..] else {
            return Err(bad());
        };
        let indexes = |text: &str| -> Result<Vec<u32>, StoreError> {
            text.split(',')
                .filter(|idx| !idx.is_empty())
                .map(|idx| idx.parse().map_err(|_| bad()))
                .collect()
        };
        Ok(Self::Repaired {
            user: user.to_owned(),
            bought: bought.parse().map_err(|_| bad())?,
            sold: indexes(sold)?,
            released: indexes(released)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let text = "ann|req-1|1790000000000|7:s:1:42,9:a,12:l";
        let record = Record::parse(text).unwrap();
        assert_eq!(record.format(), text);
        assert_eq!(record.sold_count(), 1);
        let words: Vec<_> = record.results.iter().map(|r| r.outcome.as_str()).collect();
        assert_eq!(words, ["sold", "already_sold", "limit_reached"]);
    }

    #[test]
    fn what_is_no_record_is_an_error_that_shows_it() {
        for text in [
            "",
            "ann|r|1",
            "ann|r|x|7:a",
            "ann|r|1|",
            "ann|r|1|7:s:1",
            "ann|r|1|7:z",
        ] {
            let error = Record::parse(text).unwrap_err().to_string();
            assert!(
                error.contains("expected user|request id|ms|results"),
                "{error}"
            );
        }
    }

    #[test]
    fn records_agree_when_they_sell_the_same_whatever_the_slots() {
        let one = Record::parse("ann|r1|1|7:s:1:0,9:a").unwrap();
        let same = Record::parse("ann|r2|2|7:s:3:0,9:a").unwrap();
        let other = Record::parse("ann|r1|1|7:a,9:a").unwrap();
        assert!(one.agrees_with(&same));
        assert!(!one.agrees_with(&other));
    }

    #[test]
    fn events_read_back() {
        let entry = "c|000123456789abcdefghjk|ann|r|1|7:s:1:0\nr|x|ann|2|7,8|";
        let events = Event::parse_entry(entry).unwrap();
        assert!(matches!(&events[0], Event::Claimed { record, .. } if record.user == "ann"));
        let Event::Repaired {
            bought,
            sold,
            released,
            ..
        } = &events[1]
        else {
            panic!("expected a repair, found {:?}", events[1]);
        };
        assert_eq!(
            (*bought, sold.as_slice(), released.is_empty()),
            (2, &[7, 8][..], true)
        );
    }
}
