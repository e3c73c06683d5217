//! The format of everything that is written to Redis: its versions, and encoding and decoding.
//!
//! Guarantees: a sale fixes the version of its format when it is seeded, and every process that
//! sells it writes and reads that version; version N of the engine also reads and writes version
//! N - 1, so that processes of two versions sell one sale together; a process refuses a sale of a
//! version that it does not know. A text that is not of its format is an error that shows it.
//! Golden files hold an example of each text; a change of them is a new version.

mod lua_functions;
mod v1;
#[cfg(test)]
mod v3_in_tests;

#[cfg(test)]
mod tests;

use crate::domain::attempt::{Attempt, AttemptRequest};
use crate::domain::cart::Added;
use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::domain::event::Event;
use crate::domain::outcome::Outcome;
use crate::domain::sale::Sale;

/// A version of the stored format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The first one.
    V1,
    /// The texts of version 1 under other keys: those of cart partitions are spread over the masters
    /// ([`crate::redis::keys`]).
    V2,
    /// A third one, which shows that a format can be followed by another.
    #[cfg(test)]
    V3,
}

/// What a script decided of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClaimDecision {
    /// The code has this outcome.
    Decided {
        /// The outcome.
        outcome: Outcome,
        /// Whether an earlier call decided it.
        replayed: bool,
    },
    /// The sale has not begun, or is over. Nothing was claimed.
    NotActive,
}

/// Calls the function of this name of the version's module.
macro_rules! of_version {
    ($format:expr, $function:ident($($argument:expr),*)) => {
        match $format {
            Format::V1 | Format::V2 => v1::$function($($argument),*),
            #[cfg(test)]
            Format::V3 => v3_in_tests::$function($($argument),*),
        }
    };
}

impl Format {
    /// The version that this engine gives to a new sale.
    pub const CURRENT: Self = Self::V2;

    /// Every version that this engine reads and writes.
    pub(crate) const ALL: &'static [Self] = &[
        Self::V1,
        Self::V2,
        #[cfg(test)]
        Self::V3,
    ];

    /// Its number, as sales and scripts hold it.
    pub const fn version(self) -> u16 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
            #[cfg(test)]
            Self::V3 => 3,
        }
    }

    /// The format of this version, for a process whose newest version is `self`.
    pub(crate) fn of_version(self, version: u16) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|format| format.version() == version && version <= self.version())
    }

    /// The format of a sale, for a process whose newest version is `self`.
    pub(crate) fn of(self, sale: &Sale) -> Result<Self, BackendError> {
        self.of_version(sale.format).ok_or_else(|| {
            BackendError::unexpected(
                "format of the sale",
                "a version that this process knows; update the process",
                sale.format,
            )
        })
    }

    /// A script that calls functions of this version, with these functions before it.
    pub(crate) fn with_functions(self, script: &str) -> String {
        let library = match self {
            Self::V1 => include_str!("v1.lua").to_owned(),
            Self::V2 => include_str!("v1.lua").replace("FORMAT = '1'", "FORMAT = '2'"),
            #[cfg(test)]
            Self::V3 => v3_in_tests::lua(),
        };
        format!("{}\n{script}", lua_functions::used_by(script, &library))
    }

    /// Encodes requests of attempts, whose outcomes the script puts beside them.
    pub(crate) fn encode_requests<'a>(
        self,
        requests: impl Iterator<Item = &'a AttemptRequest>,
    ) -> String {
        of_version!(self, encode_requests(requests))
    }

    /// Decodes what [`Format::encode_requests`] wrote.
    pub(crate) fn decode_requests(self, text: &str) -> Result<Vec<AttemptRequest>, BackendError> {
        of_version!(self, decode_requests(text))
    }

    /// Encodes attempts that touched no cart.
    pub(crate) fn encode_refused<'a>(self, attempts: impl Iterator<Item = &'a Attempt>) -> String {
        of_version!(self, encode_refused(attempts))
    }

    /// Decodes what [`Format::encode_refused`] wrote.
    pub(crate) fn decode_refused(self, text: &str) -> Result<Vec<Attempt>, BackendError> {
        of_version!(self, decode_refused(text))
    }

    /// Decodes an answer of `update_carts.lua`.
    pub(crate) fn decode_added(self, text: &str) -> Result<Added, BackendError> {
        of_version!(self, decode_added(text))
    }

    /// Decodes the answers of `update_carts.lua` that an entry of the attempt stream holds.
    pub(crate) fn decode_added_list(self, text: &str) -> Result<Vec<Added>, BackendError> {
        of_version!(self, decode_added_list(text))
    }

    /// Decodes an open cart: its code and its items.
    pub(crate) fn decode_cart(self, text: &str) -> Result<(CodeSuffix, String), BackendError> {
        of_version!(self, decode_cart(text))
    }

    /// Encodes an outcome.
    pub(crate) fn encode_outcome(self, outcome: &Outcome) -> String {
        of_version!(self, encode_outcome(outcome))
    }

    /// Decodes an outcome.
    pub(crate) fn decode_outcome(self, text: &str) -> Result<Outcome, BackendError> {
        of_version!(self, decode_outcome(text))
    }

    /// Decodes an answer of `claim.lua`.
    pub(crate) fn decode_claim(self, text: &str) -> Result<ClaimDecision, BackendError> {
        of_version!(self, decode_claim(text))
    }

    /// Decodes the events of an entry of the event stream.
    pub(crate) fn decode_events(self, text: &str) -> Result<Vec<Event>, BackendError> {
        of_version!(self, decode_events(text))
    }
}
