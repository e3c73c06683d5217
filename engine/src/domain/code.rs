//! Checkout codes: `CHK-<sale id>-<partition><random>`.
//!
//! A code is a bearer token: whoever has it can buy the cart. It has 80 random bits, and it
//! says which sale and which cart partition it belongs to, so that no look-up is needed to
//! find its cart. Its time keeps codes of one moment side by side in the indexes of Postgres, where
//! rows at random places cost more.

use std::fmt;

use jiff::Timestamp;

use crate::domain::random::Random;
use crate::domain::sale::{MAX_PARTITIONS, SaleId};

/// Crockford's alphabet in lower case: no letter that is mistaken for a digit, and no `-`,
/// which divides the parts of a code.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const PARTITION_LEN: usize = 2;
/// Seconds: 20 bits of them are 12 days.
const TIME_LEN: usize = 4;
const RANDOM_LEN: usize = 16;
const SUFFIX_LEN: usize = PARTITION_LEN + TIME_LEN + RANDOM_LEN;
const PREFIX: &str = "CHK-";

/// The part of a code behind the sale id. The keys of a sale hold codes in this form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodeSuffix([u8; SUFFIX_LEN]);

impl CodeSuffix {
    /// Draws a code of this partition for a cart that is opened now.
    pub fn generate(partition: u16, now: Timestamp, random: &Random) -> Self {
        debug_assert!(partition < MAX_PARTITIONS);
        let mut suffix = [0; SUFFIX_LEN];
        let (head, drawn) = suffix.split_at_mut(PARTITION_LEN + TIME_LEN);
        let (number, time) = head.split_at_mut(PARTITION_LEN);
        write(number, u128::from(partition));
        write(time, u128::from(now.as_second().unsigned_abs()));
        write(drawn, random.next_u128());
        Self(suffix)
    }

    /// Takes the text when it has the shape of a suffix.
    pub fn parse(text: &str) -> Option<Self> {
        let suffix: [u8; SUFFIX_LEN] = text.as_bytes().try_into().ok()?;
        suffix
            .iter()
            .all(|b| ALPHABET.contains(b))
            .then_some(Self(suffix))
    }

    /// What the suffixes of a partition begin with, and those of no other.
    pub fn partition_prefix(partition: u16) -> String {
        let mut letters = [0; PARTITION_LEN];
        write(&mut letters, u128::from(partition));
        letters.iter().copied().map(char::from).collect()
    }

    /// The cart partition that the code names. It may be beyond those of its sale.
    pub fn partition(&self) -> u16 {
        self.0
            .iter()
            .take(PARTITION_LEN)
            .fold(0, |partition, byte| {
                let digit = ALPHABET.iter().position(|b| b == byte).unwrap_or(0);
                (partition << 5) | digit as u16
            })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Every byte is one of ALPHABET, so the text is valid.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Writes the lowest bits of a number, so that texts have the order of their numbers.
fn write(letters: &mut [u8], mut bits: u128) {
    for letter in letters.iter_mut().rev() {
        *letter = ALPHABET[(bits & 31) as usize];
        bits >>= 5;
    }
}

impl fmt::Debug for CodeSuffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodeSuffix({})", self.as_str())
    }
}

/// A whole code, as a client holds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CheckoutCode {
    /// The sale it belongs to.
    pub sale: SaleId,
    /// The rest of it.
    pub suffix: CodeSuffix,
}

impl CheckoutCode {
    /// Takes the text when it has the shape of a code; that it exists is another question.
    pub fn parse(text: &str) -> Option<Self> {
        let (sale, suffix) = text.strip_prefix(PREFIX)?.rsplit_once('-')?;
        Some(Self {
            sale: sale.parse().ok()?,
            suffix: CodeSuffix::parse(suffix)?,
        })
    }

    /// Writes the code of this sale and suffix.
    pub fn format(sale: &SaleId, suffix: &CodeSuffix) -> String {
        [PREFIX, sale.as_str(), "-", suffix.as_str()].concat()
    }
}

impl fmt::Display for CheckoutCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}-{}", self.sale, self.suffix.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::system::SystemRandom;

    #[test]
    fn a_code_names_its_sale_and_its_partition() {
        let sale: SaleId = "my-shop.hourly-deals.20261123T0800Z".parse().unwrap();
        for partition in [0, 1, 15, 31, 32, 1023] {
            let suffix =
                CodeSuffix::generate(partition, Timestamp::UNIX_EPOCH, &SystemRandom::random());
            let text = CheckoutCode::format(&sale, &suffix);
            let code = CheckoutCode::parse(&text).unwrap();
            assert_eq!(code.sale, sale);
            assert_eq!(code.suffix.partition(), partition);
            let prefix = CodeSuffix::partition_prefix(partition);
            assert_eq!(prefix, &suffix.as_str()[..PARTITION_LEN]);
            assert_eq!(code.to_string(), text);
        }
    }

    #[test]
    fn codes_of_a_partition_are_in_the_order_of_their_times_and_differ() {
        let random = SystemRandom::random();
        let at = |second: i64| {
            let now = Timestamp::from_second(1_790_000_000 + second).unwrap();
            CodeSuffix::generate(3, now, &random)
        };
        let codes: Vec<CodeSuffix> = [0, 1, 31, 32, 1_023, 1_024, 86_400].map(at).to_vec();
        assert!(codes.is_sorted(), "{codes:?}");
        let drawn = |suffix: CodeSuffix| suffix.as_str()[PARTITION_LEN + TIME_LEN..].to_owned();
        assert_ne!(drawn(at(0)), drawn(at(0)));
        assert_eq!(at(0).as_str()[..6], at(0).as_str()[..6]);
    }

    #[test]
    fn what_is_no_code_is_not_read_as_one() {
        for text in [
            "",
            "CHK-",
            "CHK-shop.x.20261123T0800Z",
            "CHK-shop.x.20261123T0800Z-short",
            "CHK-shop.x.20261123T0800Z-00UUUUUUUUUUUUUUUUUUUU",
            "chk-shop.x.20261123T0800Z-000123456789abcdefghjk",
            "CHK-nodots-000123456789abcdefghjk",
        ] {
            assert_eq!(CheckoutCode::parse(text), None, "{text:?}");
        }
    }
}
