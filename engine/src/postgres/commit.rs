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
/// another process has committed: those are read and the rest is tried once more. Claims that still
/// conflict, or of which one belongs to a settled sale, are committed in halves, and those that
/// conflict by themselves one by one: after a failover that lost claims, some of each group conflict,
/// and the others must not wait for a transaction of their own each.
pub(crate) async fn commit(
    postgres: &impl Postgres,
    claims: &[&Claim],
) -> Result<Vec<CommitOutcome>, BackendError> {
    let replayed = claims.iter().filter(|claim| claim.replayed);
    let mut known =
        read_if_any(postgres, replayed.map(|claim| claim.code.clone()).collect()).await?;
    let mut inserted = Inserted::default();
    let unknown = distinct(claims, &known);
    if !unknown.is_empty() && !inserted.insert(postgres, &unknown).await? {
        let codes = unknown.iter().map(|claim| claim.code.clone()).collect();
        known.extend(read_if_any(postgres, codes).await?);
        inserted
            .insert_in_halves(postgres, distinct(claims, &known))
            .await?;
    }
    let outcome = |claim: &Claim| {
        if let Some(outcome) = known.get(&claim.code) {
            return CommitOutcome::as_known(claim, outcome);
        }
        match (
            inserted.alone.get(&claim.code),
            inserted.in_groups.get(&claim.code),
        ) {
            (Some((first, outcome)), _) if std::ptr::eq(*first, claim) => outcome.clone(),
            (Some((_, CommitOutcome::Committed(committed))), _) => {
                CommitOutcome::as_known(claim, &committed.outcome)
            }
            (Some((_, CommitOutcome::SaleSettled)), _) => CommitOutcome::SaleSettled,
            // A code that comes twice has the outcome of the claim that was inserted.
            (None, Some(first)) if !std::ptr::eq(*first, claim) => {
                CommitOutcome::as_known(claim, &first.outcome)
            }
            (None, _) => CommitOutcome::Committed(Committed {
                outcome: claim.outcome.clone(),
                is_corrected: false,
                is_new: true,
            }),
        }
    };
    Ok(claims.iter().copied().map(outcome).collect())
}

/// The claims of a group that were inserted.
#[derive(Default)]
struct Inserted<'c> {
    /// As they are, together with others.
    in_groups: HashMap<&'c CheckoutCode, &'c Claim>,
    /// Alone, each with its outcome.
    alone: HashMap<&'c CheckoutCode, (&'c Claim, CommitOutcome)>,
}

impl<'c> Inserted<'c> {
    /// Inserts claims in one statement. Returns false, and has inserted none, where one of them
    /// conflicts or belongs to a settled sale.
    async fn insert(
        &mut self,
        postgres: &impl Postgres,
        claims: &[&'c Claim],
    ) -> Result<bool, BackendError> {
        match postgres.insert_orders(claims).await {
            Ok(()) => {
                let codes = claims.iter().map(|claim| (&claim.code, *claim));
                self.in_groups.extend(codes);
                Ok(true)
            }
            Err(error) if error.is_sale_settled() || error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Inserts claims in one statement, or else each half of them.
    async fn insert_in_halves(
        &mut self,
        postgres: &impl Postgres,
        claims: Vec<&'c Claim>,
    ) -> Result<(), BackendError> {
        let mut parts = vec![claims];
        while let Some(mut part) = parts.pop() {
            match part.as_slice() {
                [] => {}
                [alone] => {
                    let outcome = commit_one(postgres, alone).await?;
                    self.alone.insert(&alone.code, (alone, outcome));
                }
                _ if self.insert(postgres, &part).await? => {}
                _ => {
                    let half = part.split_off(part.len() / 2);
                    parts.extend([half, part]);
                }
            }
        }
        Ok(())
    }
}

/// The claims whose outcome is not known, each code once.
fn distinct<'c>(claims: &[&'c Claim], known: &HashMap<CheckoutCode, Outcome>) -> Vec<&'c Claim> {
    let mut seen = HashSet::new();
    claims
        .iter()
        .copied()
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
    claims: &[&Claim],
) -> Result<Vec<Option<bool>>, BackendError> {
    let codes: Vec<CheckoutCode> = claims.iter().map(|claim| claim.code.clone()).collect();
    let in_postgres = postgres.read_result_kinds(&codes).await?;
    let agreement = |claim: &Claim| {
        let kinds = in_postgres.get(&claim.code)?.iter().copied();
        Some(claim.outcome.kinds().eq(kinds))
    };
    Ok(claims.iter().copied().map(agreement).collect())
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
