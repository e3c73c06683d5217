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

impl Committed {
    fn as_known(claim: &Claim, outcome: &Outcome) -> Self {
        Self {
            is_corrected: !outcome.agrees_with(&claim.outcome),
            outcome: outcome.clone(),
            is_new: false,
        }
    }
}

/// Commits claims, of one or many sales, and returns their outcomes in the same order.
///
/// All that are new and free of conflict become one statement. A conflict is mostly a code that
/// another process has committed: those are read and the rest is tried once more; claims that still
/// conflict are committed one by one.
pub(crate) async fn commit(
    postgres: &impl Postgres,
    claims: &[Claim],
) -> Result<Vec<Committed>, BackendError> {
    let replayed = claims.iter().filter(|claim| claim.replayed);
    let mut known =
        read_if_any(postgres, replayed.map(|claim| claim.code.clone()).collect()).await?;
    for is_last in [false, true] {
        let unknown = distinct(claims, &known);
        if unknown.is_empty() {
            break;
        }
        match postgres.insert_orders(&unknown).await {
            Ok(()) => break,
            Err(error) if error.is_conflict() && is_last => {
                return commit_one_by_one(postgres, claims, &known).await;
            }
            Err(error) if error.is_conflict() => {
                let codes = unknown.iter().map(|claim| claim.code.clone()).collect();
                known.extend(read_if_any(postgres, codes).await?);
            }
            Err(error) => return Err(error),
        }
    }
    let outcome = |claim: &Claim| match known.get(&claim.code) {
        Some(outcome) => Committed::as_known(claim, outcome),
        None => Committed {
            outcome: claim.outcome.clone(),
            is_corrected: false,
            is_new: true,
        },
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

/// Which of these claims Postgres has, and whether it agrees with them: the settler's cheap
/// question. A code without an order is not in the answer.
pub(crate) async fn read_agreements(
    postgres: &impl Postgres,
    claims: &[Claim],
) -> Result<HashMap<CheckoutCode, bool>, BackendError> {
    let codes: Vec<CheckoutCode> = claims.iter().map(|claim| claim.code.clone()).collect();
    let mut in_postgres = postgres.read_result_kinds(&codes).await?;
    let agreement = |claim: &Claim| {
        let kinds = in_postgres.remove(&claim.code)?;
        let claimed = claim.outcome.kinds().map(|(_, kind)| kind);
        Some((claim.code.clone(), claimed.eq(kinds)))
    };
    Ok(claims.iter().filter_map(agreement).collect())
}

async fn commit_one_by_one(
    postgres: &impl Postgres,
    claims: &[Claim],
    known: &HashMap<CheckoutCode, Outcome>,
) -> Result<Vec<Committed>, BackendError> {
    let mut outcomes = Vec::with_capacity(claims.len());
    for claim in claims {
        outcomes.push(match known.get(&claim.code) {
            Some(outcome) => Committed::as_known(claim, outcome),
            None => commit_one(postgres, claim).await?,
        });
    }
    Ok(outcomes)
}

async fn commit_one(postgres: &impl Postgres, claim: &Claim) -> Result<Committed, BackendError> {
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
            Err(error) => return Err(error),
        }
    };
    Ok(Committed {
        is_corrected: outcome != claim.outcome,
        outcome,
        is_new,
    })
}
