//! Commits claims: what the group commit and the settler share.
//!
//! Guarantees: a code that has an order keeps it (invariant 5); the keys of `purchases` decide who
//! has an item (invariants 1 to 3), and what they decide is what is answered. Every function here
//! can be called again with the same claims.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::domain::code::CheckoutCode;
use crate::domain::error::BackendError;
use crate::domain::outcome::{Claim, ItemOutcome, ItemResult, ItemResultKind, Outcome};
use crate::domain::sale::SaleId;
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
/// another process has committed, or an item that was sold before: a failover may lose claims, and
/// Redis then gives their items once more. Both are read, and the rest is tried again, without the
/// items that are sold. Claims that still conflict, or of which one belongs to a settled sale, are
/// committed in halves, and those that conflict by themselves one by one: the others of a group must
/// not wait for a transaction of their own each.
pub(crate) async fn commit(
    postgres: &impl Postgres,
    claims: &[&Claim],
) -> Result<Vec<CommitOutcome>, BackendError> {
    let replayed = claims.iter().filter(|claim| claim.replayed);
    let mut known =
        read_if_any(postgres, replayed.map(|claim| claim.code.clone()).collect()).await?;
    let mut inserted = Inserted::default();
    let unknown = distinct(claims, &known);
    if !unknown.is_empty() && !inserted.insert(postgres, &as_decided(&unknown)).await? {
        let codes = unknown.iter().map(|claim| claim.code.clone()).collect();
        known.extend(read_if_any(postgres, codes).await?);
        let unsold = without_sold_items(postgres, &distinct(claims, &known)).await?;
        inserted.insert_in_halves(postgres, unsold).await?;
    }
    let outcome = |claim: &Claim| match (known.get(&claim.code), inserted.0.get(&claim.code)) {
        (Some(outcome), _) => CommitOutcome::as_known(claim, outcome),
        (None, Some((first, inserted))) if std::ptr::eq(*first, claim) => inserted.outcome(),
        // A code that comes twice has the outcome of the claim that was inserted.
        (None, Some((_, InsertedAs::Together(inserted)))) => {
            CommitOutcome::as_known(claim, &inserted.outcome)
        }
        (None, Some((_, InsertedAs::Alone(CommitOutcome::Committed(committed))))) => {
            CommitOutcome::as_known(claim, &committed.outcome)
        }
        // Each code that was not known was inserted, or its sale is settled.
        (None, Some((_, InsertedAs::Alone(CommitOutcome::SaleSettled))) | None) => {
            CommitOutcome::SaleSettled
        }
    };
    Ok(claims.iter().copied().map(outcome).collect())
}

/// A claim, and the one that is inserted for it: the same, or one in which more items are already sold.
struct Candidate<'c> {
    claim: &'c Claim,
    inserted: Cow<'c, Claim>,
}

/// The claims as Redis decided them.
fn as_decided<'c>(claims: &[&'c Claim]) -> Vec<Candidate<'c>> {
    let candidate = |claim: &&'c Claim| Candidate {
        claim,
        inserted: Cow::Borrowed(*claim),
    };
    claims.iter().map(candidate).collect()
}

/// The same claims; an item that Postgres has as sold is already sold in them.
async fn without_sold_items<'c>(
    postgres: &impl Postgres,
    claims: &[&'c Claim],
) -> Result<Vec<Candidate<'c>>, BackendError> {
    let mut claimed = BTreeMap::<&SaleId, Vec<u32>>::new();
    for claim in claims {
        let items = claimed.entry(claim.sale()).or_default();
        let kinds = claim.outcome.kinds();
        items.extend(kinds.filter_map(|(idx, kind)| (kind == ItemResultKind::Sold).then_some(idx)));
    }
    let mut sold = HashSet::new();
    for (sale, items) in claimed {
        let purchases = postgres.read_purchases_of_items(sale, &items).await?;
        sold.extend(purchases.into_iter().map(|purchase| (sale, purchase.idx)));
    }
    let mut candidates = as_decided(claims);
    for candidate in &mut candidates {
        let sale = candidate.claim.sale();
        let is_sold = |result: &ItemResult| {
            result.outcome.kind() == ItemResultKind::Sold && sold.contains(&(sale, result.idx))
        };
        if candidate.claim.outcome.results.iter().any(is_sold) {
            let results = &mut candidate.inserted.to_mut().outcome.results;
            for result in results.iter_mut().filter(|result| is_sold(result)) {
                result.outcome = ItemOutcome::AlreadySold;
            }
        }
    }
    Ok(candidates)
}

/// How a claim was inserted.
enum InsertedAs<'c> {
    /// With others, as this claim.
    Together(Cow<'c, Claim>),
    /// Alone, with this outcome.
    Alone(CommitOutcome),
}

impl InsertedAs<'_> {
    /// The outcome of the claim that was inserted.
    fn outcome(&self) -> CommitOutcome {
        match self {
            Self::Together(inserted) => CommitOutcome::Committed(Committed {
                outcome: inserted.outcome.clone(),
                is_corrected: matches!(inserted, Cow::Owned(_)),
                is_new: true,
            }),
            Self::Alone(outcome) => outcome.clone(),
        }
    }
}

/// The claims of a group that were inserted.
#[derive(Default)]
struct Inserted<'c>(HashMap<&'c CheckoutCode, (&'c Claim, InsertedAs<'c>)>);

impl<'c> Inserted<'c> {
    /// Inserts claims in one statement. Returns false, and has inserted none, where one of them
    /// conflicts or belongs to a settled sale.
    async fn insert(
        &mut self,
        postgres: &impl Postgres,
        candidates: &[Candidate<'c>],
    ) -> Result<bool, BackendError> {
        let claims: Vec<&Claim> = candidates.iter().map(|c| &*c.inserted).collect();
        match postgres.insert_orders(&claims).await {
            Ok(()) => {
                self.0.extend(candidates.iter().map(|c| {
                    let inserted = InsertedAs::Together(c.inserted.clone());
                    (&c.claim.code, (c.claim, inserted))
                }));
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
        candidates: Vec<Candidate<'c>>,
    ) -> Result<(), BackendError> {
        let mut parts = vec![candidates];
        while let Some(mut part) = parts.pop() {
            match part.as_slice() {
                [] => {}
                [alone] => {
                    let claim = alone.claim;
                    let outcome = commit_one(postgres, claim).await?;
                    let inserted = InsertedAs::Alone(outcome);
                    self.0.insert(&claim.code, (claim, inserted));
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
    postgres.read_outcomes(&codes).await?.complete(&codes)
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
        let found = postgres.read_outcomes(std::slice::from_ref(&claim.code));
        if let Some(outcome) = found.await?.of(&claim.code)? {
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
