//! A later version of the format, for tests alone: the texts of version 1 with other separators, so
//! that no text of one version is a text of the other.

use crate::domain::attempt::{Attempt, AttemptRequest};
use crate::domain::cart::Added;
use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::domain::event::Event;
use crate::domain::outcome::Outcome;

use super::{ClaimDecision, v1};

/// Separators of version 1, and what this version has in their place.
const SEPARATORS: [(char, char); 2] = [('\u{1f}', '\u{1d}'), ('\u{1e}', '\u{1c}')];

pub(super) fn lua() -> String {
    include_str!("v1.lua")
        .replace(r"\31", r"\29")
        .replace(r"\30", r"\28")
        .replace("FORMAT = '1'", "FORMAT = '3'")
}

fn from_v1(text: &str) -> String {
    translate(text, |(v1, v3)| (v1, v3))
}

fn to_v1(text: &str) -> String {
    // A separator of version 1 separates nothing here.
    let text = text.replace(['\u{1f}', '\u{1e}'], "?");
    translate(&text, |(v1, v3)| (v3, v1))
}

fn translate(text: &str, direction: fn((char, char)) -> (char, char)) -> String {
    SEPARATORS
        .into_iter()
        .map(direction)
        .fold(text.to_owned(), |text, (from, to)| {
            text.replace(from, &to.to_string())
        })
}

pub(super) fn encode_requests<'a>(requests: impl Iterator<Item = &'a AttemptRequest>) -> String {
    from_v1(&v1::encode_requests(requests))
}

pub(super) fn decode_requests(text: &str) -> Result<Vec<AttemptRequest>, BackendError> {
    v1::decode_requests(&to_v1(text))
}

pub(super) fn encode_refused<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> String {
    from_v1(&v1::encode_refused(attempts))
}

pub(super) fn decode_refused(text: &str) -> Result<Vec<Attempt>, BackendError> {
    v1::decode_refused(&to_v1(text))
}

pub(super) fn decode_added(text: &str) -> Result<Added, BackendError> {
    v1::decode_added(&to_v1(text))
}

pub(super) fn decode_added_list(text: &str) -> Result<Vec<Added>, BackendError> {
    v1::decode_added_list(&to_v1(text))
}

pub(super) fn decode_cart(text: &str) -> Result<(CodeSuffix, String), BackendError> {
    v1::decode_cart(&to_v1(text))
}

pub(super) fn encode_outcome(outcome: &Outcome) -> String {
    from_v1(&v1::encode_outcome(outcome))
}

pub(super) fn decode_outcome(text: &str) -> Result<Outcome, BackendError> {
    v1::decode_outcome(&to_v1(text))
}

pub(super) fn decode_claim(text: &str) -> Result<ClaimDecision, BackendError> {
    v1::decode_claim(&to_v1(text))
}

pub(super) fn decode_events(text: &str) -> Result<Vec<Event>, BackendError> {
    v1::decode_events(&to_v1(text))
}
