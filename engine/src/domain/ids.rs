//! Ids that clients send: of users, items and requests.
//!
//! Guarantees: a value of these types is printable ASCII of a bounded length, so that a control
//! character or a megabyte never reaches a key, a stream entry, a log line or a row. The stored
//! format relies on it ([`crate::redis::codec`]).

use std::fmt;
use std::sync::Arc;

use crate::domain::random::Random;

/// An id from outside that is missing, too long or has a character it must not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {max_len} characters of A-Z a-z 0-9 and {punctuation}, found {found}")]
pub struct IdError {
    max_len: usize,
    punctuation: &'static str,
    found: String,
}

fn check(text: &str, max_len: usize, punctuation: &'static str) -> Result<(), IdError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || punctuation.as_bytes().contains(&b);
    let found = if text.is_empty() {
        "nothing".to_owned()
    } else if text.len() > max_len {
        format!("{} bytes", text.len())
    } else if let Some(c) = text.chars().find(|c| !c.is_ascii() || !allowed(*c as u8)) {
        format!("the character {c:?}")
    } else {
        return Ok(());
    };
    Err(IdError {
        max_len,
        punctuation,
        found,
    })
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $max_len:expr, $punctuation:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The most bytes such an id may have.
            pub const MAX_LEN: usize = $max_len;

            /// Takes the text when it has the shape of such an id.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check(text, Self::MAX_LEN, $punctuation)?;
                Ok(Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id_type!(
    /// Who buys: the shop's own user id.
    UserId, 64, ".-_:@+"
);
id_type!(
    /// The id of an item in a catalogue.
    ItemId, 128, ".-_:@+"
);
id_type!(
    /// Carries one request through logs, streams and rows.
    RequestId, 64, ".-_"
);

impl RequestId {
    /// A new one, for a client that sent none, or none that is valid.
    pub fn generate(random: &Random) -> Self {
        Self(format!("{:032x}", random.next_u128()).into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ids_say_what_is_wrong_with_them() {
        let message = |text: &str| UserId::parse(text).unwrap_err().to_string();
        assert!(message("").ends_with("found nothing"));
        assert!(message(&"x".repeat(65)).ends_with("found 65 bytes"));
        assert!(message("a|b").ends_with("found the character '|'"));
        assert!(message("zoë").ends_with("found the character 'ë'"));
        assert!(UserId::parse("Ann.O'Hara").is_err());
        assert_eq!(UserId::parse("ann@shop:7").unwrap().as_str(), "ann@shop:7");
    }

    #[test]
    fn generated_request_ids_are_valid_and_differ() {
        let random = crate::system::SystemRandom::random();
        let (a, b) = (RequestId::generate(&random), RequestId::generate(&random));
        assert_ne!(a, b);
        assert_eq!(RequestId::parse(a.as_str()), Ok(a));
    }
}
