//! Whether an item that was not sold was refused as sold for long.

use std::collections::{BTreeMap, BTreeSet};

use flashsale_load::checker::verdict::{Offenders, Scope, Verdict};
use flashsale_load::client::answer::{Answer, Problem};
use flashsale_load::client::call::Call;
use flashsale_load::client::catalogue::ItemNo;

use super::Evidence;
use super::excused::Excused;
use crate::history::RunHistory;

/// The sale view may lag by this much, and a claim that Postgres decides otherwise may hold an item
/// for as long, in microseconds.
const LONGEST_REFUSAL_US: i64 = 10_000_000;

pub(super) fn unsold_items_are_not_refused(
    history: &RunHistory,
    evidence: &Evidence,
    excused: &Excused,
) -> Verdict {
    let mut offenders = Offenders::default();
    let lost = bought_by_lost_purchases(history, excused);
    let mut compared = 0_usize;
    // What Redis holds as claimed is refused rightly, also where Postgres lacks it.
    let is_claimed = |item: &ItemNo| {
        let redis = evidence.redis.as_ref();
        redis.is_some_and(|redis| redis.sold.contains(item))
    };
    for (item, refused_us) in refusals(history) {
        compared += refused_us.len();
        let sold_us = evidence.claimed_us.get(&item).copied();
        if sold_us.is_none() && (is_claimed(&item) || lost.contains(&item)) {
            continue;
        }
        let before_sale = refused_us
            .iter()
            .filter(|at_us| sold_us.is_none_or(|us| **at_us < us));
        let (first, last) = before_sale.fold((i64::MAX, i64::MIN), |(first, last), at_us| {
            (first.min(*at_us), last.max(*at_us))
        });
        if last.saturating_sub(first) > LONGEST_REFUSAL_US && first < last {
            let span_s = (last - first) / 1_000_000;
            let id = history.catalogue.id(item).into_owned();
            let then = if sold_us.is_some() {
                "sold later"
            } else {
                "never sold"
            };
            offenders.add(|| format!("{id} was refused as sold over {span_s} s and was {then}"));
        }
    }
    let due = history
        .calls
        .iter()
        .any(|record| matches!(record.call, Call::Checkout { .. }));
    let checked = format!("{compared} refusals of items compared");
    // A run in which nothing was refused shows that nothing was refused wrongly.
    let compared = if due { compared.max(1) } else { compared };
    let scope = Scope { compared, due };
    offenders.verdict("unsold items are not refused as sold", scope, checked)
}

/// What purchases bought that Postgres may have lost: Redis has it as sold until the audit at the close.
fn bought_by_lost_purchases(history: &RunHistory, excused: &Excused) -> BTreeSet<ItemNo> {
    let lost = history
        .calls
        .iter()
        .filter(|record| excused.purchases.contains(&record.request));
    let bought = lost.filter_map(|record| match &record.answer {
        Answer::Outcome(outcome) => Some(&outcome.bought),
        _ => None,
    });
    bought.flatten().copied().collect()
}

/// When each item was refused as sold, in the order of the answers.
fn refusals(history: &RunHistory) -> BTreeMap<ItemNo, Vec<i64>> {
    let mut refusals: BTreeMap<ItemNo, Vec<i64>> = BTreeMap::new();
    for record in &history.calls {
        match (&record.call, &record.answer) {
            (
                Call::Checkout { item, .. },
                Answer::Refused {
                    problem: Problem::AlreadySold,
                    ..
                },
            ) => refusals.entry(*item).or_default().push(record.ended_us),
            (Call::Purchase { .. }, Answer::Outcome(outcome)) => {
                let failed = outcome.failed.iter();
                for (item, _) in failed.filter(|(_, why)| *why == Problem::AlreadySold) {
                    refusals.entry(*item).or_default().push(record.ended_us);
                }
            }
            _ => {}
        }
    }
    refusals
}
