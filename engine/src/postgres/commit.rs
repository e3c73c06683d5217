//! Commits claims: what the group commit and the settler share.
//!
//! Guarantees: a code that has an order keeps it (invariant 5); the keys of `purchases` decide who
//! has an item (invariants 1 to 3), and what they decide is what is answered. Every function here
//! can be called again with the same claims.

use std::collections::{HashMap, HashSet};

use crate::domain::code::CheckoutCode;
use crate::domain::error::BackendError;
use crate::domain::outcome::{Claim, Outcome};
use crate::postgres::operations::Postgres;

/// How often a whole claim is tried whose transaction Postgres ended for the sake of another one.
const TRIES_PER_CLAIM: u32 = 5;

/// The outcome of a code as Postgres has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    /// What is answered, now and at every later request.
    pub outcome: Outcome,
    /// Whether Postgres decided other than Redis, so that Redis has to be corrected.
    pub is_corrected: bool,
    /// Whether this very commit brought it into Postgres.
    pub is_new: bool,
}

/// What became of a claim that was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommitOutcome {
    /// Postgres has an outcome of the code.
    Committed(Committed),
    /// Its sale was settled before: the code has no outcome and gets none.
    SaleSettled,
}

impl CommitOutcome {
    fn as_known(claim: &Claim, outcome: &Outcome) -> Self {
        Self::Committed(Committed {
            is_corrected: !outcome.agrees_with(&claim.outcome),
            outcome: outcome.clone(),
            is_new: false,
        })
    }
}

/// Commits claims, of one or many sales, and returns their outcomes in the same order.
///
/// All that are new and free of conflict become one statement. A conflict is mostly a code that
/// another process has committed: those are read and the rest is tried once more; claims that still
/// conflict, or of which one belongs to a settled sale, are committed one by one.
pub(crate) async fn commit(
    postgres: &impl Postgres,
    claims: &[Claim],
) -> Result<Vec<CommitOutcome>, BackendError> {
    let replayed = claims.iter().filter(|claim| claim.replayed);
    let mut known =
        read_if_any(postgres, replayed.map(|claim| claim.code.clone()).collect()).await?;
    let mut inserted = HashMap::new();
    for is_last in [false, true] {
        let unknown = distinct(claims, &known);
        if unknown.is_empty() {
            break;
        }
        match postgres.insert_orders(&unknown).await {
            Ok(()) => {
                inserted = unknown.iter().map(|claim| (&claim.code, *claim)).collect();
                break;
            }
            Err(error) if error.is_sale_settled() || (error.is_conflict() && is_last) => {
                return commit_one_by_one(postgres, claims, &known).await;
            }
            Err(error) if error.is_conflict() => {
                let codes = unknown.iter().map(|claim| claim.code.clone()).collect();
                known.extend(read_if_any(postgres, codes).await?);
            }
            Err(error) => return Err(error),
        }
    }
    let outcome = |claim: &Claim| match (known.get(&claim.code), inserted.get(&claim.code)) {
        (Some(outcome), _) => CommitOutcome::as_known(claim, outcome),
        // A code that comes twice has the outcome of the claim that was inserted.
        (None, Some(first)) if !std::ptr::eq(*first, claim) => {
            CommitOutcome::as_known(claim, &first.outcome)
        }
        (None, _) => CommitOutcome::Committed(Committed {
            outcome: claim.outcome.clone(),
            is_corrected: false,
            is_new: true,
        }),
    };
    Ok(claims.iter().map(outcome).collect())
}

/// The claims whose outcome is not known, each code once.
fn distinct<'c>(claims: &'c [Claim], known: &HashMap<CheckoutCode, Outcome>) -> Vec<&'c Claim> {
    let mut seen = HashSet::new();
    claims
        .iter()
        .filter(|claim| !known.contains_key(&claim.code) && seen.insert(&claim.code))
        .collect()
}

async fn read_if_any(
    postgres: &impl Postgres,
    codes: Vec<CheckoutCode>,
) -> Result<HashMap<CheckoutCode, Outcome>, BackendError> {
    if codes.is_empty() {
        return Ok(HashMap::new());
    }
    postgres.read_outcomes(&codes).await
}

/// Whether Postgres agrees with each of these claims, in the same order: the settler's cheap
/// question. None for a code without an order.
pub(crate) async fn read_agreements(
    postgres: &impl Postgres,
    claims: &[Claim],
) -> Result<Vec<Option<bool>>, BackendError> {
    let codes: Vec<CheckoutCode> = claims.iter().map(|claim| claim.code.clone()).collect();
    let in_postgres = postgres.read_result_kinds(&codes).await?;
    let agreement = |claim: &Claim| {
        let kinds = in_postgres.get(&claim.code)?.iter().copied();
        Some(claim.outcome.kinds().eq(kinds))
    };
    Ok(claims.iter().map(agreement).collect())
}

async fn commit_one_by_one(
    postgres: &impl Postgres,
    claims: &[Claim],
    known: &HashMap<CheckoutCode, Outcome>,
) -> Result<Vec<CommitOutcome>, BackendError> {
    let mut outcomes = Vec::with_capacity(claims.len());
    for claim in claims {
        outcomes.push(match known.get(&claim.code) {
            Some(outcome) => CommitOutcome::as_known(claim, outcome),
            None => commit_one(postgres, claim).await?,
        });
    }
    Ok(outcomes)
}

async fn commit_one(
    postgres: &impl Postgres,
    claim: &Claim,
) -> Result<CommitOutcome, BackendError> {
    let mut tries = 0;
    let (outcome, is_new) = loop {
        let code = std::slice::from_ref(&claim.code);
        if let Some(outcome) = postgres.read_outcomes(code).await?.remove(&claim.code) {
            break (outcome, false);
        }
        tries += 1;
        match postgres.insert_order_by_item(claim).await {
            Ok(outcome) => break (outcome, true),
            // Another process committed this very code, or stood in the way: read again.
            Err(error) if error.is_conflict() && tries < TRIES_PER_CLAIM => {}
            Err(error) if error.is_sale_settled() => return Ok(CommitOutcome::SaleSettled),
            Err(error) => return Err(error),
        }
    };
    Ok(CommitOutcome::Committed(Committed {
        is_corrected: outcome != claim.outcome,
        outcome,
        is_new,
    }))
}
