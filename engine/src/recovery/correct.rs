//! Corrects what Redis holds of one code after Postgres decided otherwise.
//!
//! Guarantees: afterwards Redis holds the outcome of the code, the user's slots and the items of
//! the claim and of the order as Postgres has them. Nothing is released that Postgres holds, or that
//! another claim holds which is not committed yet.

use std::collections::BTreeSet;

use crate::domain::error::BackendError;
use crate::domain::outcome::{Claim, ItemOutcome, Outcome};
use crate::observability::metrics::Metrics;
use crate::postgres::operations::Postgres;
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;
use crate::redis::sale_state::read_outcome;
use crate::redis::scripts::correct::{Correction, correct as run_script};

/// Corrects what Redis holds of `claim` to `truth`, the outcome in Postgres.
pub(crate) async fn correct(
    postgres: &impl Postgres,
    redis: &impl Redis,
    metrics: &Metrics,
    keys: &SaleKeys,
    claim: &Claim,
    truth: &Outcome,
) -> Result<(), BackendError> {
    // After a failover Redis may hold a later outcome of the code than the one that was claimed.
    let in_redis = read_outcome(redis, keys, &claim.suffix()).await?;
    let outcomes = [Some(truth), Some(&claim.outcome), in_redis.as_ref()];
    let items: BTreeSet<u32> = outcomes.into_iter().flatten().flat_map(indexes).collect();
    let items: Vec<u32> = items.into_iter().collect();
    let sale_slots: Vec<u32> = in_redis.iter().flat_map(sale_slots).collect();
    let facts = postgres
        .read_correction_facts(claim.sale(), &truth.user, &items, &sale_slots)
        .await?;
    let free: Vec<u32> = items
        .into_iter()
        .filter(|idx| !facts.sold.contains(idx))
        .collect();
    let correction = Correction {
        suffix: claim.suffix(),
        outcome: truth,
        user_slots: &facts.user_slots,
        sold: &facts.sold,
        free: &free,
        free_sale_slots: &facts.free_sale_slots,
        highest_sale_slot: facts.highest_sale_slot,
    };
    if run_script(redis, keys, &correction).await? {
        metrics.corrections.inc();
        tracing::warn!(
            sale = %claim.sale(),
            user = truth.user,
            request_id = truth.request_id,
            claimed = ?claim.outcome.results,
            truth = ?truth.results,
            "outcome corrected to what Postgres has"
        );
    }
    Ok(())
}

fn indexes(outcome: &Outcome) -> impl Iterator<Item = u32> {
    outcome.results.iter().map(|result| result.idx)
}

/// The sale slots that an outcome takes.
fn sale_slots(outcome: &Outcome) -> impl Iterator<Item = u32> {
    let slot = |outcome: ItemOutcome| match outcome {
        ItemOutcome::Sold { sale_slot, .. } if sale_slot > 0 => Some(sale_slot),
        _ => None,
    };
    let results = outcome.results.iter();
    results.filter_map(move |result| slot(result.outcome))
}
