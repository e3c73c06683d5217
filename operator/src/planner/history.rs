//! The sales of the past, within the limits.

use std::cmp::Reverse;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Upcoming;
use super::known::{KnownSale, Observed, Stage};
use crate::crd::{PastSale, SaleResult};
use crate::planner::Settings;

const MISSED: &str = "its start was missed, and the starting deadline or its window is over";
const NEVER_SEEDED: &str =
    "it could not be prepared before the starting deadline or its window was over";

/// All that is known of, newest first.
pub(super) fn past(
    settings: &Settings,
    observed: &Observed,
    missed: Option<Upcoming>,
    now: Timestamp,
) -> Vec<PastSale> {
    let mut past: Vec<PastSale> = observed
        .sales
        .iter()
        .filter_map(|known| past_sale(settings, known, now))
        .collect();
    let missed = missed.map(|missed| PastSale {
        id: missed.id.to_string(),
        started_at: Time(missed.window.starts_at),
        ended_at: Time(missed.window.ends_at),
        result: SaleResult::Failed,
        total: None,
        sold: 0,
        message: Some(MISSED.to_owned()),
    });
    for failed in observed.failed.iter().cloned().chain(missed) {
        // What Postgres knows of a sale is more than what the status remembers.
        let known = observed
            .sales
            .iter()
            .any(|known| known.held() && known.sale.id.as_str() == failed.id);
        if !known && past.iter().all(|past| past.id != failed.id) {
            past.push(failed);
        }
    }
    past.sort_by_key(|sale| Reverse(sale.started_at.0));
    past
}

/// The newest of each kind. Only the list is limited: what was sold stays in Postgres.
pub(super) fn within_limits(settings: &Settings, past: &[PastSale]) -> Vec<PastSale> {
    let (mut successful, mut failed) = (0, 0);
    let within = |sale: &&PastSale| {
        let (count, limit) = match sale.result {
            SaleResult::Successful => (&mut successful, settings.successful_history_limit),
            SaleResult::Failed => (&mut failed, settings.failed_history_limit),
        };
        *count += 1;
        *count <= limit
    };
    past.iter().filter(within).cloned().collect()
}

fn past_sale(settings: &Settings, known: &KnownSale, now: Timestamp) -> Option<PastSale> {
    let window = known.sale.window;
    let given_up = now >= settings.given_up_at(window);
    let result = match known.stage(now) {
        Stage::Settled => SaleResult::Successful,
        Stage::NeverSeeded if given_up => SaleResult::Failed,
        _ => return None,
    };
    Some(PastSale {
        id: known.sale.id.to_string(),
        started_at: Time(window.starts_at),
        ended_at: Time(window.ends_at),
        result,
        total: Some(known.sale.limits.total as i32),
        sold: known.sold as i32,
        message: (result == SaleResult::Failed).then(|| NEVER_SEEDED.to_owned()),
    })
}
