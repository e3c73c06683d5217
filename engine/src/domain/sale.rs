//! A sale: its name, its id, its window and its limits.
//!
//! Guarantees: a sale id is derived from its FlashSale and its start, never drawn, so that
//! a second operator, a restart or a retry computes the same id.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// How many cart partitions a sale has unless it says otherwise: as many as the smallest Redis Cluster
/// has masters. The fewer there are, the more concurrent checkouts share the cost of a script call.
pub const DEFAULT_PARTITIONS: u16 = 3;

/// The version of the stored format that a new sale gets; see [`crate::redis::codec`].
pub const CURRENT_FORMAT: u16 = 2;

/// The most partitions a sale may have; two characters of a checkout code hold this many.
pub const MAX_PARTITIONS: u16 = 1024;

/// A name or an id that does not have the shape of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {found:?}: expected {expected}")]
pub struct NameError {
    what: &'static str,
    found: String,
    expected: &'static str,
}

/// `<namespace>.<name>` of a FlashSale. A namespace holds no dot, so the first dot divides.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FlashSaleName {
    full: Arc<str>,
    dot: usize,
}

impl FlashSaleName {
    /// Checks both parts by the rules of Kubernetes (RFC 1123 label and subdomain).
    pub fn new(namespace: &str, name: &str) -> Result<Self, NameError> {
        if !is_dns(namespace, 63, false) {
            return Err(NameError {
                what: "namespace",
                found: namespace.to_owned(),
                expected: "1 to 63 of a-z, 0-9 and '-', a letter or digit at both ends",
            });
        }
        if !is_dns(name, 200, true) {
            return Err(NameError {
                what: "FlashSale name",
                found: name.to_owned(),
                expected: "1 to 200 of a-z, 0-9, '-' and '.', a letter or digit at both ends",
            });
        }
        Ok(Self {
            full: format!("{namespace}.{name}").into(),
            dot: namespace.len(),
        })
    }

    /// The namespace alone.
    pub fn namespace(&self) -> &str {
        &self.full[..self.dot]
    }

    /// The name alone.
    pub fn name(&self) -> &str {
        &self.full[self.dot + 1..]
    }

    /// `<namespace>.<name>`.
    pub fn as_str(&self) -> &str {
        &self.full
    }
}

impl fmt::Display for FlashSaleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl FromStr for FlashSaleName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (namespace, name) = text.split_once('.').ok_or_else(|| NameError {
            what: "FlashSale",
            found: text.to_owned(),
            expected: "<namespace>.<name>",
        })?;
        Self::new(namespace, name)
    }
}

impl TryFrom<String> for FlashSaleName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<FlashSaleName> for String {
    fn from(name: FlashSaleName) -> Self {
        name.full.as_ref().to_owned()
    }
}

fn is_dns(text: &str, max_len: usize, dots: bool) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= max_len
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-' || (dots && *b == b'.')
        })
}

/// `<namespace>.<name>.<UTC start, yyyymmddThhmmZ>`: one run of a FlashSale's schedule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SaleId {
    full: Arc<str>,
    flash_sale: FlashSaleName,
}

const LABEL_LEN: usize = "yyyymmddThhmmZ".len();

impl SaleId {
    /// The id of the sale that starts at `starts_at`; seconds are dropped.
    pub fn new(flash_sale: &FlashSaleName, starts_at: Timestamp) -> Self {
        let start = starts_at.strftime("%Y%m%dT%H%MZ");
        Self {
            full: format!("{flash_sale}.{start}").into(),
            flash_sale: flash_sale.clone(),
        }
    }

    /// The FlashSale whose schedule the sale is a run of.
    pub fn flash_sale(&self) -> &FlashSaleName {
        &self.flash_sale
    }

    /// The start as the id spells it: `yyyymmddThhmmZ`.
    pub fn starts_label(&self) -> &str {
        &self.full[self.full.len() - LABEL_LEN..]
    }

    /// The start in minutes since the Unix epoch: the number of the sale within its FlashSale. None
    /// for a label that is no time, which no sale that was seeded has.
    pub fn start_minute(&self) -> Option<i32> {
        let label = self.starts_label();
        let year = label.get(..4)?.parse().ok()?;
        let part = |from: usize| -> Option<i8> { label.get(from..from + 2)?.parse().ok() };
        let (month, day, hour, minute) = (part(4)?, part(6)?, part(9)?, part(11)?);
        let start = DateTime::new(year, month, day, hour, minute, 0, 0).ok()?;
        let start = TimeZone::UTC.to_timestamp(start).ok()?;
        i32::try_from(start.as_second() / 60).ok()
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.full
    }
}

impl fmt::Display for SaleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl FromStr for SaleId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bad = || NameError {
            what: "sale id",
            found: text.chars().take(80).collect(),
            expected: "<namespace>.<name>.<UTC start as yyyymmddThhmmZ>",
        };
        let (flash_sale, label) = text.rsplit_once('.').ok_or_else(bad)?;
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        let well_formed = label.len() == LABEL_LEN
            && label.is_ascii()
            && digits(&label[..8])
            && &label[8..9] == "T"
            && digits(&label[9..13])
            && &label[13..] == "Z";
        if !well_formed {
            return Err(bad());
        }
        Ok(Self {
            full: text.into(),
            flash_sale: flash_sale.parse()?,
        })
    }
}

impl TryFrom<String> for SaleId {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<SaleId> for String {
    fn from(id: SaleId) -> Self {
        id.full.as_ref().to_owned()
    }
}

/// When a sale sells: `[starts_at, ends_at)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The first moment at which it sells.
    pub starts_at: Timestamp,
    /// The first moment at which it does not sell any more.
    pub ends_at: Timestamp,
}

impl Window {
    /// Whether `now` is inside.
    pub fn contains(&self, now: Timestamp) -> bool {
        self.starts_at <= now && now < self.ends_at
    }
}

/// How much is sold, to one user and in all. Every limit is at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Items that one user may buy in one sale.
    pub per_user: u32,
    /// Items that one cart may hold.
    pub per_checkout: u32,
    /// Items that the whole sale may sell; at most the size of its catalogue.
    pub total: u32,
}

/// One run of a FlashSale's schedule, as the registry and `sales` describe it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// Derived from the FlashSale and the start.
    pub id: SaleId,
    /// When it sells.
    #[serde(flatten)]
    pub window: Window,
    /// How much it sells.
    pub limits: Limits,
    /// The size of its catalogue; item indexes are below it.
    pub items: u32,
    /// How many cart partitions it has; fixed once it is seeded.
    pub partitions: u16,
    /// Whether attempts may be dropped, and counted, when their backlog is full.
    pub best_effort: bool,
    /// The version of the format of what Redis holds of it; fixed once it is seeded.
    pub format: u16,
}

impl Sale {
    /// The partition that holds a user's cart: FNV-1a of the user id, modulo `partitions`.
    /// It is part of the stored data, so it never changes.
    pub fn partition_of(&self, user_id: &str) -> u16 {
        let hash = user_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, b| {
            (hash ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        // FNV's low bits are its weakest; fold the high half in before the modulo.
        ((hash ^ (hash >> 32)) % u64::from(self.partitions)) as u16
    }

    /// Whether sold items need numbers of their own to keep the total: only where the total
    /// is below the catalogue can it be broken while every item is sold once.
    pub fn needs_sale_slots(&self) -> bool {
        self.limits.total < self.items
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_sale_id_is_derived_and_reads_back() {
        let name = FlashSaleName::new("shop", "hourly.deals").unwrap();
        let start: Timestamp = "2026-11-23T08:00:30Z".parse().unwrap();
        let id = SaleId::new(&name, start);
        assert_eq!(id.as_str(), "shop.hourly.deals.20261123T0800Z");
        assert_eq!(id.starts_label(), "20261123T0800Z");
        let read: SaleId = id.as_str().parse().unwrap();
        assert_eq!(read, id);
        assert_eq!(read.flash_sale().namespace(), "shop");
        assert_eq!(read.flash_sale().name(), "hourly.deals");
        assert_eq!(read.start_minute(), Some((start.as_second() / 60) as i32));
        let no_time: SaleId = "shop.hourly.20261323T0800Z".parse().unwrap();
        assert_eq!(no_time.start_minute(), None);
    }

    #[test]
    fn ids_of_another_shape_are_refused() {
        for text in [
            "",
            "shop",
            "shop.hourly",
            "shop.hourly.20261123T0800",
            "shop.hourly.20261123T08é0Z",
            "Shop.hourly.20261123T0800Z",
            "shop..20261123T0800Z",
        ] {
            assert!(text.parse::<SaleId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn partitions_are_stable_and_spread() {
        let sale = Sale {
            id: "shop.hourly.20261123T0800Z".parse().unwrap(),
            window: Window {
                starts_at: Timestamp::UNIX_EPOCH,
                ends_at: Timestamp::UNIX_EPOCH,
            },
            limits: Limits {
                per_user: 10,
                per_checkout: 10,
                total: 100,
            },
            items: 100,
            partitions: 16,
            best_effort: false,
            format: CURRENT_FORMAT,
        };
        // Stored carts depend on these; a change here loses the carts of a running sale.
        assert_eq!(sale.partition_of("alice"), 12);
        let mut counts = [0_u32; 16];
        for n in 0..16_000 {
            counts[usize::from(sale.partition_of(&format!("user-{n}")))] += 1;
        }
        assert!(counts.iter().all(|c| (800..1200).contains(c)), "{counts:?}");
    }
}
