//! Keys, checks and the trigger: what violates them is refused with the same SQLSTATE, whole.

use flashsale_engine::ItemOutcome::{AlreadySold, LimitReached};
use flashsale_engine::{Claim, Limits, Sale, Window};

use crate::operations::{Fixture, ITEMS, LIMITS, Operation as O, claim, code, sold, user_of};
use crate::support::assert_same;

fn read_all(sale: &Sale) -> Vec<O> {
    let codes = (0..9).map(|n| code(sale, n)).collect::<Vec<_>>();
    vec![
        O::ReadPurchases(sale.id.clone(), 0),
        O::ReadOutcomes(codes.clone()),
        O::ReadResultKinds(codes),
        O::ReadSaleOutcomes(sale.id.clone(), None),
    ]
}

#[tokio::test]
async fn a_sale_with_columns_out_of_range_is_refused_on_both() {
    let fixture = Fixture::new("columns");
    let sale = fixture.sale(0);
    let with_limits = |limits: Limits| Sale {
        limits,
        ..sale.clone()
    };
    let window = Window {
        ends_at: sale.window.starts_at,
        ..sale.window
    };
    let bad = [
        with_limits(Limits {
            per_user: 0,
            ..LIMITS
        }),
        with_limits(Limits {
            per_checkout: 0,
            ..LIMITS
        }),
        with_limits(Limits { total: 0, ..LIMITS }),
        with_limits(Limits {
            total: ITEMS + 1,
            ..LIMITS
        }),
        Sale {
            partitions: 0,
            ..sale.clone()
        },
        Sale {
            format: 0,
            ..sale.clone()
        },
        Sale {
            window,
            ..sale.clone()
        },
    ];
    let mut operations: Vec<O> = bad.into_iter().map(O::InsertSale).collect();
    operations.extend([O::ReadSales(9), O::ReadItems(sale.id.clone(), 0)]);
    let answers = assert_same("columns", &fixture, &operations).await;
    assert!(
        answers[..7]
            .iter()
            .all(|answer| answer == "SQLSTATE Some(\"23514\")")
    );
    assert_eq!(answers[7..], ["[]", "[]"]);
}

/// Each of these claims violates one constraint, beside a claim that violates none.
#[tokio::test]
async fn orders_that_violate_a_constraint_are_refused_whole_on_both() {
    let fixture = Fixture::new("violations");
    let (sale, unknown) = (fixture.sale(0), fixture.sale(1));
    let first = claim(&sale, 1, 1, &[(0, sold(1, 1)), (5, AlreadySold)]);
    let unique = [
        ("code", claim(&sale, 1, 3, &[(3, sold(1, 3))])),
        ("item", claim(&sale, 2, 3, &[(0, sold(1, 3))])),
        ("user slot", claim(&sale, 2, 1, &[(3, sold(1, 3))])),
        ("sale slot", claim(&sale, 2, 3, &[(3, sold(1, 1))])),
    ];
    let check = [
        ("user slot 0", claim(&sale, 2, 3, &[(3, sold(0, 3))])),
        ("user slot too high", claim(&sale, 2, 3, &[(3, sold(3, 3))])),
        ("no sale slot", claim(&sale, 2, 3, &[(3, sold(1, 0))])),
        ("sale slot too high", claim(&sale, 2, 3, &[(3, sold(1, 5))])),
        (
            "item beyond the catalogue",
            claim(&sale, 2, 3, &[(ITEMS, sold(1, 3))]),
        ),
        ("no such sale", claim(&unknown, 2, 3, &[(0, sold(1, 1))])),
    ];
    let mut operations = vec![O::InsertSale(sale.clone()), O::InsertOrders(vec![first])];
    let beside = claim(&sale, 8, 2, &[(4, sold(1, 2)), (1, LimitReached)]);
    for (_, claim) in unique.iter().chain(&check) {
        operations.push(O::InsertOrders(vec![beside.clone(), claim.clone()]));
        operations.extend(read_all(&sale));
    }
    operations.push(O::InsertOrders(vec![beside]));
    operations.extend(read_all(&sale));
    let answers = assert_same("violations", &fixture, &operations).await;
    let states = answers[2..].chunks(5).map(|chunk| chunk[0].as_str());
    let expected = unique.iter().map(|_| "SQLSTATE Some(\"23505\")");
    let expected = expected.chain(check.iter().map(|_| "SQLSTATE Some(\"23514\")"));
    let expected: Vec<&str> = expected.chain(["()"]).collect();
    assert_eq!(states.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn where_several_constraints_are_violated_the_same_one_is_named() {
    let fixture = Fixture::new("several");
    let sale = fixture.sale(0);
    let taken_and_beyond: [Vec<Claim>; 4] = [
        vec![claim(&sale, 2, 3, &[(0, sold(3, 9))])],
        vec![claim(&sale, 1, 3, &[(3, sold(0, 9))])],
        vec![
            claim(&sale, 2, 3, &[(3, sold(3, 3))]),
            claim(&sale, 3, 1, &[(4, sold(1, 4))]),
        ],
        vec![
            claim(&sale, 2, 3, &[(3, sold(0, 3))]),
            claim(&sale, 3, 1, &[(4, sold(1, 4))]),
        ],
    ];
    let mut operations = vec![
        O::InsertSale(sale.clone()),
        O::InsertOrders(vec![claim(&sale, 1, 1, &[(0, sold(1, 1))])]),
    ];
    operations.extend(taken_and_beyond.map(O::InsertOrders));
    operations.push(O::InsertOrders(vec![]));
    operations.extend(read_all(&sale));
    assert_same("several", &fixture, &operations).await;
}

#[tokio::test]
async fn a_sale_that_sells_its_whole_catalogue_needs_no_sale_slots_on_both() {
    let fixture = Fixture::new("whole");
    let limits = Limits {
        total: ITEMS,
        ..LIMITS
    };
    let sale = Sale {
        limits,
        ..fixture.sale(0)
    };
    let mut operations = vec![
        O::InsertSale(sale.clone()),
        O::InsertOrders(vec![claim(
            &sale,
            1,
            1,
            &[(0, sold(1, 0)), (1, sold(2, 0))],
        )]),
        O::InsertOrders(vec![claim(&sale, 2, 2, &[(2, sold(1, 0))])]),
        O::InsertOrderByItem(claim(&sale, 3, 2, &[(3, sold(1, 7)), (4, sold(2, 7))])),
        O::ReadCorrectionFacts(sale.id.clone(), user_of(1), vec![0, 5], vec![1, 2]),
    ];
    operations.extend(read_all(&sale));
    assert_same("whole", &fixture, &operations).await;
}

#[tokio::test]
async fn an_order_item_by_item_gets_the_lowest_free_slots_on_both() {
    let fixture = Fixture::new("slots");
    let (sale, unknown) = (fixture.sale(0), fixture.sale(1));
    let everything = [
        (0, sold(9, 9)),
        (1, AlreadySold),
        (2, sold(9, 9)),
        (3, sold(1, 1)),
        (4, LimitReached),
    ];
    let mut operations = vec![
        O::InsertSale(sale.clone()),
        O::InsertOrders(vec![claim(&sale, 1, 1, &[(0, sold(2, 3))])]),
        // Item 0 is taken; then the user's slots 1 and 2, and the sale's slots 1 and 2.
        O::InsertOrderByItem(claim(&sale, 2, 2, &everything)),
        // One slot of the user is free, and one of the sale.
        O::InsertOrderByItem(claim(&sale, 3, 1, &[(1, sold(1, 1)), (4, sold(2, 2))])),
        // No slot of the sale is free.
        O::InsertOrderByItem(claim(&sale, 4, 3, &[(5, sold(1, 1))])),
        // The code is taken.
        O::InsertOrderByItem(claim(&sale, 4, 3, &[(5, AlreadySold)])),
        O::InsertOrderByItem(claim(&unknown, 5, 3, &[(5, sold(1, 1))])),
        O::InsertOrderByItem(claim(&unknown, 5, 3, &[(5, AlreadySold)])),
    ];
    operations.extend(read_all(&sale));
    operations.extend(read_all(&unknown));
    for user in 1..=3 {
        operations.push(O::ReadCorrectionFacts(
            sale.id.clone(),
            user_of(user),
            vec![0, 1, 5, 77],
            vec![1, 4, 5, 5],
        ));
    }
    operations.push(O::ReadCorrectionFacts(
        unknown.id.clone(),
        user_of(1),
        vec![0],
        vec![1],
    ));
    assert_same("slots", &fixture, &operations).await;
}

/// The item is beyond the catalogue: the trigger refuses it, and the item before it is not kept.
#[tokio::test]
async fn an_order_item_by_item_that_fails_changes_nothing_on_both() {
    let fixture = Fixture::new("rollback");
    let sale = fixture.sale(0);
    let mut operations = vec![
        O::InsertSale(sale.clone()),
        O::InsertOrders(vec![claim(&sale, 1, 1, &[(5, AlreadySold)])]),
        O::InsertOrderByItem(claim(&sale, 2, 2, &[(0, sold(1, 1)), (ITEMS, sold(2, 2))])),
        O::InsertOrderByItem(claim(&sale, 1, 2, &[(1, sold(1, 1))])),
    ];
    operations.extend(read_all(&sale));
    let answers = assert_same("rollback", &fixture, &operations).await;
    assert_eq!(answers[2], "SQLSTATE Some(\"23514\")");
    assert_eq!(answers[3], "SQLSTATE Some(\"23505\")");
    assert_eq!(answers[4], "[]");
}
