//! A verdict on each invariant, by its number.

use std::collections::HashSet;

use flashsale_load::checker::check;
use flashsale_load::checker::verdict::Verdict;

use super::Evidence;
use super::excused::Excused;
use super::refusals::unsold_items_are_not_refused;
use super::undersell::nothing_is_undersold;
use super::window::opens_and_closes_on_time;
use crate::history::RunHistory;

/// Names of the load generator's verdicts, in its order, and their numbers.
const NUMBERS: [(&str, &str); 7] = [
    ("nothing is sold twice", "1"),
    ("nobody is over the limit", "2"),
    ("the total is not exceeded", "3"),
    ("every answered purchase is there", "4"),
    ("a code has one outcome", "5"),
    ("every answered attempt is logged once", "7"),
    ("carts keep answered items", "carts"),
];
const PURCHASES: &str = "4";
const ATTEMPTS: &str = "7";

/// A verdict with the number of its invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedVerdict {
    /// `1` to `9`, or `carts`.
    pub number: &'static str,
    /// The verdict.
    pub verdict: Verdict,
}

/// Judges all invariants: 1 to 9 in their order, then carts.
#[must_use]
pub fn judge(history: &RunHistory, evidence: &Evidence) -> Vec<NumberedVerdict> {
    let excused = Excused::of(history);
    let mut verdicts = checked(history, evidence, &excused.purchases);
    if !(excused.attempts.is_empty() && excused.purchases.is_empty()) {
        let without = evidence_without(evidence, &excused.attempts);
        let on_attempts = checked(history, &without, &excused.attempts);
        let others = verdicts.into_iter().filter(|one| one.number != ATTEMPTS);
        let attempts = on_attempts.into_iter().filter(|one| one.number == ATTEMPTS);
        verdicts = others.chain(attempts).collect();
    }
    for numbered in &mut verdicts {
        let about = match numbered.number {
            ATTEMPTS => excused.about_attempts(),
            PURCHASES => excused.about_purchases(),
            _ => String::new(),
        };
        numbered.verdict.detail.push_str(&about);
    }
    let own = [
        ("6", nothing_is_undersold(history, evidence)),
        (
            "8",
            unsold_items_are_not_refused(history, evidence, &excused),
        ),
        ("9", opens_and_closes_on_time(history, evidence)),
    ];
    let own = own.map(|(number, verdict)| NumberedVerdict { number, verdict });
    verdicts.extend(own);
    verdicts.sort_by_key(|numbered| numbered.number);
    verdicts
}

fn checked(
    history: &RunHistory,
    evidence: &Evidence,
    except: &HashSet<u32>,
) -> Vec<NumberedVerdict> {
    let checked = history.checked(except);
    let verdicts = check(&checked, &evidence.stored, &history.run, &history.catalogue);
    let numbered = verdicts.into_iter().filter_map(|verdict| {
        let known = NUMBERS.iter().find(|(name, _)| *name == verdict.invariant);
        let number = known?.1;
        Some(NumberedVerdict { number, verdict })
    });
    numbered.collect()
}

fn evidence_without(evidence: &Evidence, excused: &HashSet<u32>) -> Evidence {
    let mut evidence = evidence.clone();
    let attempts = &mut evidence.stored.attempts;
    attempts.retain(|row| !excused.contains(&row.request));
    evidence
}
