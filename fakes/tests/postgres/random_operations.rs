//! Random sequences of operations on three sales of a FlashSale.

use std::sync::atomic::{AtomicU32, Ordering};

use flashsale_engine::postgres::operations::Shown;
use flashsale_engine::{ItemOutcome, Milestone};
use proptest::prelude::*;

use crate::operations::{Fixture, ITEMS, Operation as O, claim, code, sold, suffix, user_of};
use crate::support::{compare, run_sequences};

/// A claim by numbers: code, user, and for each item its index, its kind and its slots.
type Numbers = (u8, u8, Vec<(u32, u8, u32, u32)>);

/// An operation by numbers: the sale is one of three.
#[derive(Debug, Clone)]
enum Step {
    Insert(i64),
    Note(i64, u8),
    Unseed(i64),
    DeleteUnseeded(i64),
    DeleteFlashSale,
    Orders(i64, Vec<Numbers>),
    ByItem(i64, Numbers),
    Attempts(i64, Vec<(u64, u8, u8, u32)>),
    Read(i64, u32, u8),
}

fn step() -> impl Strategy<Value = Step> {
    // Hours from now: a sale that is over, one that is on, and one that comes. The second is the
    // one that most happens to.
    let sale = prop_oneof![1 => Just(-2_i64), 5 => Just(0), 1 => Just(2)];
    let item = (0..ITEMS + 1, 0..6_u8, 0..4_u32, 0..6_u32);
    let numbers = (0..8_u8, 0..4_u8, prop::collection::vec(item, 1..4));
    let attempt = (0..40_u64, 0..4_u8, 0..8_u8, 0..ITEMS);
    prop_oneof![
        4 => sale.clone().prop_map(Step::Insert),
        3 => (sale.clone(), 0..4_u8).prop_map(|(sale, n)| Step::Note(sale, n)),
        1 => sale.clone().prop_map(Step::Unseed),
        1 => sale.clone().prop_map(Step::DeleteUnseeded),
        1 => prop::bool::weighted(0.2).prop_map(|rare| if rare {
            Step::DeleteFlashSale
        } else {
            Step::Read(0, 0, 0)
        }),
        8 => (sale.clone(), prop::collection::vec(numbers.clone(), 1..3))
            .prop_map(|(sale, claims)| Step::Orders(sale, claims)),
        5 => (sale.clone(), numbers).prop_map(|(sale, claim)| Step::ByItem(sale, claim)),
        4 => (sale.clone(), prop::collection::vec(attempt, 1..6))
            .prop_map(|(sale, attempts)| Step::Attempts(sale, attempts)),
        6 => (sale, 0..ITEMS, 0..4_u8).prop_map(|(sale, from, user)| Step::Read(sale, from, user)),
    ]
}

fn operations(fixture: &Fixture, step: &Step) -> Vec<O> {
    let claim_of = |hours: i64, (number, user, items): &Numbers| {
        let result = |(idx, kind, user_slot, sale_slot): &(u32, u8, u32, u32)| {
            let outcome = match kind {
                0 => ItemOutcome::AlreadySold,
                1 => ItemOutcome::LimitReached,
                _ => sold(*user_slot, *sale_slot),
            };
            (*idx, outcome)
        };
        let results: Vec<_> = items.iter().map(result).collect();
        claim(&fixture.sale(hours), *number, *user, &results)
    };
    match step {
        Step::Insert(hours) => vec![O::InsertSale(fixture.sale(*hours))],
        Step::Note(hours, n) => {
            let id = fixture.sale(*hours).id;
            let milestones = [Milestone::Seeded, Milestone::Closed, Milestone::Retired];
            match milestones.get(usize::from(*n)) {
                Some(milestone) => vec![O::Note(id, *milestone)],
                None => vec![
                    O::SettleSale(id.clone(), 1),
                    O::ReadStage(id.clone()),
                    O::SettleSale(id.clone(), 0),
                    O::ReadStage(id),
                ],
            }
        }
        Step::Unseed(hours) => vec![O::Unseed(fixture.sale(*hours).id)],
        Step::DeleteUnseeded(hours) => vec![O::DeleteUnseeded(fixture.sale(*hours).id)],
        Step::DeleteFlashSale => vec![O::DeleteFlashSale],
        Step::Orders(hours, claims) => {
            // The seam takes claims with codes that differ.
            let mut claims: Vec<_> = claims.iter().map(|n| claim_of(*hours, n)).collect();
            claims.dedup_by_key(|claim| claim.suffix());
            vec![O::InsertOrders(claims)]
        }
        Step::ByItem(hours, numbers) => vec![O::InsertOrderByItem(claim_of(*hours, numbers))],
        Step::Attempts(hours, attempts) => {
            let sale = fixture.sale(*hours);
            let attempt = |(n, user, code, idx): &(u64, u8, u8, u32)| {
                fixture.added(&sale, *n, (*user, *code, *idx))
            };
            vec![O::AppendAttempts(attempts.iter().map(attempt).collect())]
        }
        Step::Read(hours, from, user) => reads(fixture, *hours, *from, *user),
    }
}

fn reads(fixture: &Fixture, hours: i64, from: u32, user: u8) -> Vec<O> {
    let sale = fixture.sale(hours);
    let id = || sale.id.clone();
    let codes: Vec<_> = (0..8).map(|n| code(&sale, n)).collect();
    vec![
        O::ReadSales(from % 3),
        O::ReadSale(id()),
        O::ReadItems(id(), from),
        O::Browse(id(), from, Shown::Sold, 3),
        O::Browse(id(), from, Shown::Available, 3),
        O::ReadItemsByIndex(id(), vec![from, 0, 99]),
        O::HasItem(fixture.item(&sale, from)),
        O::ReadOutcomes(codes.clone()),
        O::ReadResultKinds(codes),
        O::ReadSaleOutcomes(id(), (user > 0).then(|| suffix(user))),
        O::ReadPurchases(id(), from),
        O::ReadSoldItems(id(), from),
        O::ReadPurchasesOf(id(), vec![from, 0, 5]),
        O::ReadCorrectionFacts(id(), user_of(user), vec![0, from], vec![1, 2, from]),
        O::ReadCarts(sale.clone()),
    ]
}

#[test]
fn answers_are_as_on_the_server_in_random_sequences() {
    static PLAYED: AtomicU32 = AtomicU32::new(0);
    let sequences = prop::collection::vec(step(), 1..40);
    run_sequences("random", 24, &sequences, |(fake, real), steps| {
        Box::pin(async move {
            let played = PLAYED.fetch_add(1, Ordering::Relaxed);
            let fixture = Fixture::new(&format!("random-{played}"));
            for step in [&Step::Insert(0)].into_iter().chain(steps) {
                compare(fake, real, &fixture, &operations(&fixture, step)).await;
            }
            for hours in [-2, 0, 2] {
                compare(fake, real, &fixture, &reads(&fixture, hours, 0, 1)).await;
            }
        })
    });
}
