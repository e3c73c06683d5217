//! Processes that commit the same claims at the same time: after an outage of Postgres the process
//! that claimed tries again while the settlers of the others commit what it left.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;

use flashsale_engine::postgres::operations::Postgres as _;
use flashsale_engine::{
    BackendError, Certificates, CheckoutCode, Claim, CodeSuffix, ItemOutcome, ItemResult, Limits,
    Metrics, Outcome, PostgresPool, Sale, SystemClock,
};
use support::Stack;

const REPETITIONS: u32 = 10;

/// The claims of a repetition, of so many items each.
const CLAIMS: u32 = 100;
const ITEMS_PER_CLAIM: u32 = 3;

const LIMITS: Limits = Limits {
    per_user: 10,
    per_checkout: 10,
    total: REPETITIONS * CLAIMS * ITEMS_PER_CLAIM,
};

async fn pool(stack: &Stack) -> PostgresPool {
    let metrics = Arc::new(Metrics::new().unwrap());
    let url = stack.postgres.url();
    PostgresPool::connect(&url, &Certificates::NONE, 2, metrics, SystemClock::clock())
        .await
        .unwrap()
}

/// The claims of a repetition. The items of a cart are not in the order of the catalogue, and codes are
/// not in the order of the claims.
fn claims(sale: &Sale, repetition: u32) -> Vec<Claim> {
    let claim = |n: u32| {
        let first = (repetition * CLAIMS + n) * ITEMS_PER_CLAIM;
        let result = |slot: u32| ItemResult {
            idx: first + ITEMS_PER_CLAIM - slot,
            outcome: ItemOutcome::Sold {
                user_slot: slot,
                sale_slot: 0,
            },
        };
        let suffix = format!(
            "{:022}",
            u64::from(first).wrapping_mul(2_654_435_761) % 999_983
        );
        Claim {
            code: CheckoutCode {
                sale: sale.id.clone(),
                suffix: CodeSuffix::parse(&suffix).unwrap(),
            },
            outcome: Outcome {
                user: format!("user-{first}"),
                request_id: "r".to_owned(),
                at_ms: 1_000,
                results: (1..=ITEMS_PER_CLAIM).map(result).collect(),
            },
            replayed: false,
        }
    };
    (0..CLAIMS).map(claim).collect()
}

async fn insert_one_by_one(pool: &PostgresPool, claims: &[Claim]) -> Vec<BackendError> {
    let mut errors = Vec::new();
    for claim in claims {
        errors.extend(pool.insert_order_by_item(claim).await.err());
    }
    errors
}

/// Another process that commits the same codes makes their keys taken, and nothing else.
fn are_of_taken_keys(errors: &[BackendError]) -> bool {
    errors.iter().all(BackendError::is_unique_violation)
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_with_the_same_claims_in_another_order_do_not_deadlock() {
    let stack = Stack::start().await;
    let sale = stack.sale(LIMITS.total, LIMITS);
    stack.seed(&sale).await;
    let (owner, settler) = (pool(&stack).await, pool(&stack).await);
    for repetition in 0..REPETITIONS {
        let claims = claims(&sale, repetition);
        let forward: Vec<&Claim> = claims.iter().collect();
        let backward: Vec<&Claim> = claims.iter().rev().collect();
        let (one, other) = tokio::join!(
            owner.insert_orders(&forward),
            settler.insert_orders(&backward)
        );
        assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
        let errors: Vec<BackendError> = [one.err(), other.err()].into_iter().flatten().collect();
        assert!(are_of_taken_keys(&errors), "{errors:?}");
    }
    let sold: i64 = stack.sql("SELECT count(*) FROM purchases").await;
    assert_eq!(sold, i64::from(LIMITS.total));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_and_its_claims_one_by_one_do_not_deadlock() {
    let stack = Stack::start().await;
    let sale = stack.sale(LIMITS.total, LIMITS);
    stack.seed(&sale).await;
    let (owner, settler) = (pool(&stack).await, pool(&stack).await);
    for repetition in 0..REPETITIONS {
        let claims = claims(&sale, repetition);
        let group: Vec<&Claim> = claims.iter().collect();
        let (one_by_one, together) = tokio::join!(
            insert_one_by_one(&settler, &claims),
            owner.insert_orders(&group)
        );
        let mut errors = one_by_one;
        errors.extend(together.err());
        assert!(are_of_taken_keys(&errors), "{errors:?}");
    }
    let sold: i64 = stack.sql("SELECT count(*) FROM purchases").await;
    assert_eq!(sold, i64::from(LIMITS.total));
}
