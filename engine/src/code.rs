//! Checkout codes: `CHK-<sale id>-<partition><random>`.
//!
//! A code is a bearer token: whoever has it can buy the cart. It has 100 random bits, and it
//! says which sale and which cart partition it belongs to, so that no look-up is needed to
//! find its cart.

use std::fmt;

use rand::RngExt;

use crate::sale::{MAX_PARTITIONS, SaleId};

/// Crockford's alphabet in lower case: no letter that is mistaken for a digit, and no `-`,
/// which divides the parts of a code.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const PARTITION_LEN: usize = 2;
const RANDOM_LEN: usize = 20;
const TAIL_LEN: usize = PARTITION_LEN + RANDOM_LEN;
const PREFIX: &str = "CHK-";

/// The part of a code behind the sale id; the keys of a sale hold codes in this form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodeTail(String);

impl CodeTail {
    /// Draws a code of this partition.
    pub fn generate(partition: u16) -> Self {
        debug_assert!(partition < MAX_PARTITIONS);
        let mut tail = String::with_capacity(TAIL_LEN);
        let letter = |bits: u128| char::from(ALPHABET[(bits & 31) as usize]);
        tail.push(letter(u128::from(partition >> 5)));
        tail.push(letter(u128::from(partition)));
        let mut bits: u128 = rand::rng().random();
        for _ in 0..RANDOM_LEN {
            tail.push(letter(bits));
            bits >>= 5;
        }
        Self(tail)
    }

    /// Takes the text when it has the shape of a tail.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == TAIL_LEN && text.bytes().all(|b| ALPHABET.contains(&b)))
            .then(|| Self(text.to_owned()))
    }

    /// The cart partition that the code names. It may be beyond those of its sale.
    pub fn partition(&self) -> u16 {
        self.0
            .bytes()
            .take(PARTITION_LEN)
            .fold(0, |partition, byte| {
                let digit = ALPHABET.iter().position(|b| *b == byte).unwrap_or(0);
                (partition << 5) | digit as u16
            })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A whole code, as a client holds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CheckoutCode {
    /// The sale it belongs to.
    pub sale: SaleId,
    /// The rest of it.
    pub tail: CodeTail,
}

impl CheckoutCode {
    /// Takes the text when it has the shape of a code; that it exists is another question.
    pub fn parse(text: &str) -> Option<Self> {
        let (sale, tail) = text.strip_prefix(PREFIX)?.rsplit_once('-')?;
        Some(Self {
            sale: sale.parse().ok()?,
            tail: CodeTail::parse(tail)?,
        })
    }

    /// Writes the code of this sale and tail.
    pub fn format(sale: &SaleId, tail: &CodeTail) -> String {
        format!("{PREFIX}{sale}-{}", tail.as_str())
    }
}

impl fmt::Display for CheckoutCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}-{}", self.sale, self.tail.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_code_names_its_sale_and_its_partition() {
        let sale: SaleId = "my-shop.hourly-deals.20261123T0800Z".parse().unwrap();
        for partition in [0, 1, 15, 31, 32, 1023] {
            let tail = CodeTail::generate(partition);
            let text = CheckoutCode::format(&sale, &tail);
            let code = CheckoutCode::parse(&text).unwrap();
            assert_eq!(code.sale, sale);
            assert_eq!(code.tail.partition(), partition);
            assert_eq!(code.to_string(), text);
        }
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
