//! Whether the sale opened and closed by the clock.

use flashsale_load::checker::verdict::{Offenders, Scope, Verdict};
use flashsale_load::client::answer::{Answer, Problem};
use flashsale_load::client::call::Call;

use super::Evidence;
use crate::history::{CallRecord, RunHistory};
use crate::plan::Kind;

/// Clocks of processes on one machine agree; what differs is the way from a script to this program.
const TOLERANCE_US: i64 = 100_000;
/// An open sale is in every process by then, and a closed one sells nothing any more.
const ON_TIME_US: i64 = 1_000_000;

pub(super) fn opens_and_closes_on_time(history: &RunHistory, evidence: &Evidence) -> Verdict {
    let ends_us = history.ends_us;
    let mut offenders = Offenders::default();
    for record in &history.calls {
        let sells = matches!(record.answer, Answer::Added { .. });
        if sells && record.ended_us < -TOLERANCE_US {
            offenders.add(|| format!("{} before the opening", described(record)));
        }
        if sells && record.began_us > ends_us + TOLERANCE_US {
            offenders.add(|| format!("{} after the close", described(record)));
        }
        let inside = record.began_us > ON_TIME_US && record.ended_us < ends_us - TOLERANCE_US;
        if inside && is_refused_as_closed(record) {
            offenders.add(|| format!("{} while the sale was open", described(record)));
        }
    }
    let claims = evidence.commits.iter();
    for late in claims.filter(|commit| commit.claimed_us > ends_us + TOLERANCE_US) {
        let after_ms = (late.claimed_us - ends_us) / 1_000;
        offenders.add(|| format!("{} was claimed {after_ms} ms after the close", late.code));
    }
    let (opened, closed) = (seen_to_open(history), seen_to_close(history));
    if opened == Some(false) {
        offenders.add(|| "no item was added in the first second".to_owned());
    }
    if closed == Some(false) {
        offenders.add(|| "no item was added in the last second".to_owned());
    }
    let words = |seen: Option<bool>| if seen.is_some() { "seen" } else { "not seen" };
    let checked = format!("opening {}, close {}", words(opened), words(closed));
    let scope = Scope {
        compared: usize::from(opened.is_some() && closed.is_some()),
        due: true,
    };
    offenders.verdict("the sale opens and closes on time", scope, checked)
}

fn is_refused_as_closed(record: &CallRecord) -> bool {
    matches!(
        record.answer,
        Answer::Refused {
            problem: Problem::SaleNotActive | Problem::NoActiveSale,
            ..
        }
    )
}

/// Whether something was added in the first second; `None` where no call could tell, or where a
/// fault of something else than the operator explains it.
fn seen_to_open(history: &RunHistory) -> Option<bool> {
    seen_to_sell(history, 0, ON_TIME_US)
}

fn seen_to_close(history: &RunHistory) -> Option<bool> {
    seen_to_sell(history, history.ends_us - ON_TIME_US, history.ends_us)
}

fn seen_to_sell(history: &RunHistory, from_us: i64, to_us: i64) -> Option<bool> {
    let mut calls = history
        .calls
        .iter()
        .filter(|record| matches!(record.call, Call::Checkout { .. }))
        .filter(|record| (from_us..to_us).contains(&record.due_us))
        .peekable();
    calls.peek()?;
    if calls.any(|record| matches!(record.answer, Answer::Added { .. })) {
        return Some(true);
    }
    let is_explained = history.faults.iter().any(|record| {
        record.fault.kind() != Kind::KilledOperator
            && record.began_us <= to_us
            && record.is_within(from_us, to_us - from_us)
    });
    (!is_explained).then_some(false)
}

fn described(record: &CallRecord) -> String {
    let at_ms = record.ended_us / 1_000;
    let status = record.answer.status().unwrap_or_default();
    format!("a call was answered {status} at {at_ms} ms")
}
