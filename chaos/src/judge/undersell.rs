//! Whether every claim became an order in bounded time, and Redis and Postgres agree item by item
//! once the sale is settled.

use std::collections::BTreeSet;

use flashsale_load::checker::verdict::{Offenders, Scope, Verdict};
use flashsale_load::client::catalogue::ItemNo;

use super::{Commit, Evidence};
use crate::history::{FaultRecord, RunHistory};
use crate::plan::{Fault, Kind, Link};

/// The longest that a claim may wait for its commit while Postgres is there, in microseconds.
const LONGEST_COMMIT_US: i64 = 15_000_000;

pub(super) fn nothing_is_undersold(history: &RunHistory, evidence: &Evidence) -> Verdict {
    const INVARIANT: &str = "nothing is undersold";
    let mut offenders = Offenders::default();
    let sale = evidence.stored.sale(history.catalogue.sale());
    let (Some(redis), Some(sale), true) = (&evidence.redis, sale, evidence.is_settled) else {
        if !evidence.is_settled {
            offenders.add(|| "the operator did not settle the sale in time".to_owned());
        }
        let scope = Scope {
            compared: 0,
            due: true,
        };
        let checked = "Redis and Postgres were not compared".to_owned();
        return offenders.verdict(INVARIANT, scope, checked);
    };
    let stored: BTreeSet<ItemNo> = sale.purchases.iter().map(|row| row.item).collect();
    let id = |item: &ItemNo| history.catalogue.id(*item).into_owned();
    for item in redis.sold.difference(&stored) {
        offenders.add(|| format!("{} is sold in Redis and not in Postgres", id(item)));
    }
    for item in stored.difference(&redis.sold) {
        offenders.add(|| format!("{} is sold in Postgres and not in Redis", id(item)));
    }
    let without_order = redis.outcomes.saturating_sub(sale.orders.len());
    if without_order > 0 && !lost_orders(&history.faults) {
        offenders.add(|| format!("{without_order} claims in Redis have no order in Postgres"));
    }
    for commit in &evidence.commits {
        let wait_us = unexplained_wait_us(commit, &history.faults);
        if wait_us > LONGEST_COMMIT_US {
            let wait_s = wait_us / 1_000_000;
            offenders.add(|| format!("{} waited {wait_s} s for its commit", commit.code));
        }
    }
    let scope = Scope {
        compared: stored.len() + redis.sold.len() + redis.outcomes,
        due: true,
    };
    let checked = format!(
        "{} items sold in Postgres, {} in Redis; {} orders, {} outcomes",
        stored.len(),
        redis.sold.len(),
        sale.orders.len(),
        redis.outcomes
    );
    offenders.verdict(INVARIANT, scope, checked)
}

/// Whether Postgres lost orders that it had: Redis still has their outcomes.
fn lost_orders(faults: &[FaultRecord]) -> bool {
    let mut kinds = faults.iter().map(|record| record.fault.kind());
    kinds.any(|kind| kind == Kind::LaggingStandbyPromoted)
}

/// How long a claim waited since the last moment at which Postgres was away.
fn unexplained_wait_us(commit: &Commit, faults: &[FaultRecord]) -> i64 {
    let Some(committed_us) = commit.committed_us else {
        return 0;
    };
    let away = faults.iter().filter(|record| hits_postgres(&record.fault));
    let back_us = away
        .filter(|record| record.began_us <= committed_us)
        .map(|record| record.serves_again_us.unwrap_or(record.ended_us))
        .filter(|back_us| *back_us >= commit.claimed_us)
        .max();
    committed_us - back_us.unwrap_or(commit.claimed_us)
}

fn hits_postgres(fault: &Fault) -> bool {
    let to_postgres = matches!(
        fault,
        Fault::Network {
            link: Link::Postgres,
            ..
        }
    );
    to_postgres
        || matches!(
            fault.kind(),
            Kind::HungPostgres
                | Kind::KilledPostgres
                | Kind::ReadOnlyPostgres
                | Kind::LaggingStandbyPromoted
        )
}
