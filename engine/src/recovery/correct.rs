//! Corrects what Redis holds of one code after Postgres decided otherwise.
//!
//! Guarantees: afterwards Redis holds the outcome of the code, the user's slots and the items of
//! the cart as Postgres has them. What Postgres holds is never released.

use crate::domain::error::BackendError;
use crate::domain::outcome::{Claim, ItemOutcome, Outcome};
use crate::observability::metrics::Metrics;
use crate::postgres::operations::Postgres;
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;
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
    let items: Vec<u32> = truth.results.iter().map(|result| result.idx).collect();
    let claimed_slots = claimed_sale_slots(&claim.outcome);
    let facts = postgres
        .read_correction_facts(claim.sale(), &truth.user, &items, &claimed_slots)
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

fn claimed_sale_slots(outcome: &Outcome) -> Vec<u32> {
    let slot = |outcome: &ItemOutcome| match outcome {
        ItemOutcome::Sold { sale_slot, .. } if *sale_slot > 0 => Some(*sale_slot),
        _ => None,
    };
    let results = outcome.results.iter();
    results.filter_map(|result| slot(&result.outcome)).collect()
}
