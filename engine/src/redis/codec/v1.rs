//! Version 1 of the stored format; `v1.lua` is the same format for scripts.
//!
//! US (0x1F) separates the fields of a text and RS (0x1E) the texts of a list. An id is printable
//! ASCII ([`crate::domain::ids`]), so nothing needs escaping, whatever the id is. Item lists are
//! indexes, comma separated.

use std::fmt::Write as _;
use std::sync::Arc;

use uuid::Uuid;

use super::ClaimDecision;
use crate::domain::attempt::{Attempt, AttemptOutcome, AttemptRequest};
use crate::domain::cart::{AddOutcome, Added};
use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::domain::event::Event;
use crate::domain::ids::{ItemId, RequestId, UserId};
use crate::domain::outcome::{ItemOutcome, ItemResult, Outcome};
use crate::domain::sale::SaleId;

const US: char = '\u{1f}';
const RS: char = '\u{1e}';

/// About how long an attempt is in this format.
const ATTEMPT_BYTES: usize = 128;

pub(super) fn encode_requests<'a>(requests: impl Iterator<Item = &'a AttemptRequest>) -> String {
    let mut text = String::with_capacity(requests.size_hint().0 * ATTEMPT_BYTES);
    for request in requests {
        if !text.is_empty() {
            text.push(RS);
        }
        push_request(&mut text, request);
    }
    text
}

pub(super) fn decode_requests(text: &str) -> Result<Vec<AttemptRequest>, BackendError> {
    let decode = |text: &str| {
        let bad = || BackendError::unexpected("attempt", "id, at_us, user, item, request id", text);
        let fields: Vec<&str> = text.split(US).collect();
        let fields: [&str; 5] = fields.try_into().map_err(|_| bad())?;
        decode_request(fields).ok_or_else(bad)
    };
    texts(text).map(decode).collect()
}

pub(super) fn encode_refused<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> String {
    let mut text = String::with_capacity(attempts.size_hint().0 * ATTEMPT_BYTES);
    for attempt in attempts {
        if !text.is_empty() {
            text.push(RS);
        }
        push_request(&mut text, &attempt.request);
        text.push(US);
        text.push_str(attempt.sale.as_deref().map_or("", SaleId::as_str));
        text.push(US);
        text.push_str(attempt.outcome.as_str());
    }
    text
}

pub(super) fn decode_refused(text: &str) -> Result<Vec<Attempt>, BackendError> {
    let decode = |text: &str| {
        let bad = || {
            let expected = "id, at_us, user, item, request id, sale, outcome";
            BackendError::unexpected("refused attempt", expected, text)
        };
        let fields: Vec<&str> = text.split(US).collect();
        let [id, at_us, user, item, request_id, sale, outcome] = fields[..] else {
            return Err(bad());
        };
        let read = || {
            Some(Attempt {
                request: decode_request([id, at_us, user, item, request_id])?,
                sale: optional(sale, |text| text.parse().ok().map(Arc::new))?,
                suffix: None,
                outcome: AttemptOutcome::all().find(|known| known.as_str() == outcome)?,
            })
        };
        read().ok_or_else(bad)
    };
    texts(text).map(decode).collect()
}

fn push_request(text: &mut String, request: &AttemptRequest) {
    let id = request.id.as_u128();
    let at_us = request.at_us;
    // Writing into a String cannot fail.
    let _ = write!(text, "{id:x}{US}{at_us}{US}");
    text.push_str(request.user.as_ref().map_or("", UserId::as_str));
    text.push(US);
    text.push_str(request.item.as_ref().map_or("", ItemId::as_str));
    text.push(US);
    text.push_str(request.request_id.as_str());
}

fn decode_request([id, at_us, user, item, request_id]: [&str; 5]) -> Option<AttemptRequest> {
    Some(AttemptRequest {
        id: Uuid::from_u128(u128::from_str_radix(id, 16).ok()?),
        at_us: at_us.parse().ok()?,
        user: optional(user, |text| UserId::parse(text).ok())?,
        item: optional(item, |text| ItemId::parse(text).ok())?,
        request_id: RequestId::parse(request_id).ok()?,
    })
}

/// An empty field is none; any other has to be one that `parse` takes.
fn optional<T>(text: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    match text {
        "" => Some(None),
        text => parse(text).map(Some),
    }
}

const ADD_OUTCOMES: [AddOutcome; 4] = [
    AddOutcome::Added,
    AddOutcome::InCart,
    AddOutcome::CartFull,
    AddOutcome::NotActive,
];

const fn letter(outcome: AddOutcome) -> &'static str {
    match outcome {
        AddOutcome::Added => "a",
        AddOutcome::InCart => "i",
        AddOutcome::CartFull => "f",
        AddOutcome::NotActive => "n",
    }
}

pub(super) fn decode_added(text: &str) -> Result<Added, BackendError> {
    let read = || {
        let mut fields = text.split(US);
        let (outcome, suffix, count) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Added {
            outcome: ADD_OUTCOMES.into_iter().find(|o| letter(*o) == outcome)?,
            suffix: optional(suffix, CodeSuffix::parse)?,
            items_count: count.parse().ok()?,
        })
    };
    read().ok_or_else(|| {
        BackendError::unexpected(
            "answer of update_carts.lua",
            "outcome, code suffix, count",
            text,
        )
    })
}

pub(super) fn decode_added_list(text: &str) -> Result<Vec<Added>, BackendError> {
    texts(text).map(decode_added).collect()
}

pub(super) fn decode_cart(text: &str) -> Result<(CodeSuffix, String), BackendError> {
    let read = || {
        let (suffix, items) = text.split_once(US)?;
        Some((CodeSuffix::parse(suffix)?, items.to_owned()))
    };
    read().ok_or_else(|| BackendError::unexpected("cart", "code suffix, items", text))
}

pub(super) fn encode_outcome(outcome: &Outcome) -> String {
    let Outcome {
        user,
        request_id,
        at_ms,
        results,
    } = outcome;
    let mut text = format!("{user}{US}{request_id}{US}{at_ms}{US}");
    for (n, ItemResult { idx, outcome }) in results.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        // Writing into a String cannot fail.
        let _ = match outcome {
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

pub(super) fn decode_outcome(text: &str) -> Result<Outcome, BackendError> {
    let read = || {
        let mut fields = text.split(US);
        let mut field = || fields.next();
        let (user, request_id, at_ms, results) = (field()?, field()?, field()?, field()?);
        Some(Outcome {
            user: user.to_owned(),
            request_id: request_id.to_owned(),
            at_ms: at_ms.parse().ok()?,
            results: results
                .split(',')
                .map(decode_result)
                .collect::<Option<_>>()?,
        })
    };
    read().ok_or_else(|| {
        BackendError::unexpected("outcome", "user, request id, at_ms, results", text)
    })
}

fn decode_result(text: &str) -> Option<ItemResult> {
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

pub(super) fn decode_claim(text: &str) -> Result<ClaimDecision, BackendError> {
    let replayed = match text.split_once(US) {
        None if text == "n" => return Ok(ClaimDecision::NotActive),
        Some(("c", _)) => false,
        Some(("r", _)) => true,
        _ => {
            let expected = "c or r with an outcome, or n";
            return Err(BackendError::unexpected(
                "answer of claim.lua",
                expected,
                text,
            ));
        }
    };
    Ok(ClaimDecision::Decided {
        outcome: decode_outcome(&text[2..])?,
        replayed,
    })
}

pub(super) fn decode_events(text: &str) -> Result<Vec<Event>, BackendError> {
    texts(text).map(decode_event).collect()
}

fn decode_event(text: &str) -> Result<Event, BackendError> {
    let bad = || {
        let expected = "c, code suffix, outcome or r, code suffix, user, …";
        BackendError::unexpected("event", expected, text)
    };
    if let Some(claimed) = text.strip_prefix("c\u{1f}") {
        let (suffix, outcome) = claimed.split_once(US).ok_or_else(bad)?;
        return Ok(Event::Claimed {
            suffix: CodeSuffix::parse(suffix).ok_or_else(bad)?,
            outcome: decode_outcome(outcome)?,
        });
    }
    let fields: Vec<&str> = text.split(US).collect();
    let ["r", suffix, user, bought, sold, released] = fields[..] else {
        return Err(bad());
    };
    let indexes = |text: &str| -> Option<Vec<u32>> {
        text.split(',')
            .filter(|idx| !idx.is_empty())
            .map(|idx| idx.parse().ok())
            .collect()
    };
    let read = || {
        Some(Event::Corrected {
            suffix: CodeSuffix::parse(suffix)?,
            user: user.to_owned(),
            bought: bought.parse().ok()?,
            sold: indexes(sold)?,
            released: indexes(released)?,
        })
    };
    read().ok_or_else(bad)
}

/// The texts of a list; an empty list has none.
fn texts(text: &str) -> impl Iterator<Item = &str> {
    text.split(RS).filter(|text| !text.is_empty())
}
