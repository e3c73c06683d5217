//! The past sales of a FlashSale, and those within the history limits.

use std::cmp::Reverse;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::actions::Upcoming;
use super::observed::{Observed, ObservedSale, Stage};
use super::settings::Settings;
use super::starts::given_up_at;
use crate::crd::{PastSale, SaleResult};

const MISSED: &str = "its start was missed, and the starting deadline or its window is over";
const NEVER_SEEDED: &str =
    "it could not be prepared before the starting deadline or its window was over";

/// All past sales, newest first.
pub(super) fn past(
    settings: &Settings,
    observed: &Observed,
    missed: Option<Upcoming>,
    now: Timestamp,
) -> Vec<PastSale> {
    let mut past: Vec<PastSale> = observed
        .sales
        .iter()
        .filter_map(|observed| past_sale(settings, observed, now))
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
        // Postgres comes before the status.
        let is_held = observed
            .sales
            .iter()
            .any(|observed| observed.is_held() && observed.sale.id.as_str() == failed.id);
        if !is_held && past.iter().all(|past| past.id != failed.id) {
            past.push(failed);
        }
    }
    past.sort_by_key(|sale| Reverse(sale.started_at.0));
    past
}

/// The newest sales of each result. Only the list is limited: orders stay in Postgres.
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

fn past_sale(settings: &Settings, observed: &ObservedSale, now: Timestamp) -> Option<PastSale> {
    let window = observed.sale.window;
    let given_up = now >= given_up_at(settings, window);
    let result = match observed.stage(now) {
        Stage::Settled => SaleResult::Successful,
        Stage::NeverSeeded if given_up => SaleResult::Failed,
        _ => return None,
    };
    Some(PastSale {
        id: observed.sale.id.to_string(),
        started_at: Time(window.starts_at),
        ended_at: Time(window.ends_at),
        result,
        total: Some(observed.sale.limits.total as i32),
        sold: observed.sold as i32,
        message: (result == SaleResult::Failed).then(|| NEVER_SEEDED.to_owned()),
    })
}
