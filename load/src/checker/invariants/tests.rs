#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attempts;
mod carts;

use super::*;
use crate::checker::stored_rows::{AttemptRow, SaleRow};
use crate::checker::verdict::Finding;
use crate::client::call::Call;

const SALE: &str = "ns.s.20261123T0800Z";
const NEXT: &str = "ns.s.20261123T0900Z";

/// A small run that is right: two users, three items, a repeat and a refusal.
struct Fixture {
    history: History,
    stored_rows: StoredRows,
}

/// A code of the sale, short for reading: in answers and rows it has its full form.
fn code(tail: &str) -> String {
    format!("CHK-{SALE}-{tail}")
}

const TWICE: &str = "nothing is sold twice";
const LIMIT: &str = "nobody is over the limit";
const TOTAL: &str = "the total is not exceeded";
const THERE: &str = "every answered purchase is there";
const ONE: &str = "a code has one outcome";
const LOGGED: &str = "every answered attempt is logged once";
const CARTS: &str = "carts keep answered items";

fn bought(items: &[ItemNo]) -> Answer {
    Answer::Outcome(Arc::new(Outcome {
        status: 200,
        bought: items.to_vec(),
        failed: vec![],
    }))
}

fn added(tail: &str) -> Answer {
    Answer::Added {
        code: code(tail).into(),
    }
}

fn unknown_code() -> Answer {
    Answer::Refused {
        status: 404,
        problem: Problem::UnknownCode,
    }
}

fn purchase_row(item: ItemNo, user: &str, code: &str) -> PurchaseRow {
    PurchaseRow {
        item,
        user: user.into(),
        code: self::code(code).into(),
    }
}

fn order_row(code: &str, user: &str, results: &[(ItemNo, Option<Problem>)]) -> OrderRow {
    OrderRow {
        code: self::code(code).into(),
        user: user.into(),
        results: results.to_vec(),
    }
}

fn attempt(
    request: RequestNo,
    user: &str,
    item: ItemNo,
    code: Option<&str>,
    outcome: &str,
) -> AttemptRow {
    AttemptRow {
        request,
        sale: Some(SALE.into()),
        user: Some(user.into()),
        item: Some(item),
        code: code.map(|tail| self::code(tail).into()),
        outcome: outcome.into(),
    }
}

impl Fixture {
    fn right() -> Self {
        let mut fixture = Self {
            history: History::default(),
            stored_rows: StoredRows {
                sales: vec![StoredSale {
                    id: SALE.into(),
                    row: SaleRow {
                        per_user: 2,
                        total_limit: 3,
                        best_effort: false,
                    },
                    purchases: vec![
                        purchase_row(0, "r-u0", "A"),
                        purchase_row(1, "r-u0", "A"),
                        purchase_row(2, "stranger", "Z"),
                    ],
                    orders: vec![
                        order_row("A", "r-u0", &[(0, None), (1, None)]),
                        order_row("B", "r-u1", &[(1, Some(Problem::AlreadySold))]),
                    ],
                }],
                attempts: vec![
                    attempt(0, "r-u0", 0, Some("A"), "added"),
                    attempt(1, "r-u0", 1, Some("A"), "added"),
                    attempt(2, "r-u1", 1, Some("B"), "added"),
                    attempt(3, "r-u1", 0, None, "already_sold"),
                ],
            },
        };
        fixture.checkout(0, 0, 0, added("A"));
        fixture.checkout(1, 0, 1, added("A"));
        fixture.checkout(2, 1, 1, added("B"));
        let sold = Answer::Refused {
            status: 409,
            problem: Problem::AlreadySold,
        };
        fixture.checkout(3, 1, 0, sold);
        fixture.purchase(4, 0, "A", Answer::None);
        fixture.purchase(5, 0, "A", bought(&[0, 1]));
        fixture.purchase(6, 0, "A", bought(&[0, 1]));
        let nothing = Outcome {
            status: 409,
            bought: vec![],
            failed: vec![(1, Problem::AlreadySold)],
        };
        fixture.purchase(7, 1, "B", Answer::Outcome(Arc::new(nothing)));
        fixture.checkout(8, 1, 2, Answer::None);
        fixture
    }

    fn checkout(&mut self, request: RequestNo, user: u32, item: ItemNo, answer: Answer) {
        self.history
            .push(request, &Call::Checkout { user, item }, &answer, false);
    }

    fn purchase(&mut self, request: RequestNo, user: u32, code: &str, answer: Answer) {
        let code = self::code(code).into();
        self.history
            .push(request, &Call::Purchase { user, code }, &answer, false);
    }

    fn sale(&mut self) -> &mut StoredSale {
        &mut self.stored_rows.sales[0]
    }

    fn judged(&self) -> Vec<Verdict> {
        let catalogue = Catalogue::listed(SALE, ["i0", "i1", "i2", "i3"]);
        check(
            &self.history,
            &self.stored_rows,
            &RunId::from("r"),
            &catalogue,
        )
    }

    /// Exactly these invariants are broken, and each says by whom.
    #[track_caller]
    fn breaks(&self, expected: &[&str], offender: &str) {
        let verdicts = self.judged();
        let broken: Vec<_> = verdicts.iter().filter(|v| v.finding.is_fault()).collect();
        let names: Vec<_> = broken.iter().map(|v| v.invariant).collect();
        assert_eq!(names, expected, "{verdicts:#?}");
        // The sale makes every code long, and is beside the point.
        let short = |v: &Verdict| v.detail.replace(&code(""), "");
        assert!(
            broken.iter().any(|v| short(v).contains(offender)),
            "{broken:#?}"
        );
    }

    #[track_caller]
    fn holds(&self) {
        let verdicts = self.judged();
        let held = |verdict: &Verdict| verdict.finding == Finding::Held;
        assert!(verdicts.iter().all(held), "{verdicts:#?}");
    }
}

#[test]
fn a_right_history_holds_everywhere() {
    assert_eq!(Fixture::right().judged().len(), 7);
    Fixture::right().holds();
}

#[test]
fn nothing_is_called_held_that_was_not_looked_at() {
    let mut fixture = Fixture::right();
    fixture.history = History::default();
    fixture.stored_rows.attempts.clear();
    fixture.sale().purchases.clear();
    fixture.sale().orders.clear();
    let findings = |fixture: &Fixture| -> Vec<Finding> {
        fixture
            .judged()
            .iter()
            .map(|verdict| verdict.finding)
            .collect()
    };
    assert_eq!(findings(&fixture), [Finding::NothingToCheck; 7]);

    // A server that answers nothing, or 404, to everything.
    fixture.checkout(0, 0, 0, Answer::None);
    let unknown = || Answer::Refused {
        status: 404,
        problem: Problem::Other,
    };
    fixture.purchase(1, 0, "A", unknown());
    let (not, nothing) = (Finding::NotChecked, Finding::NothingToCheck);
    let expected = [not, not, not, not, nothing, not, nothing];
    assert_eq!(findings(&fixture), expected);
}

#[test]
fn an_item_answered_to_two_codes_is_sold_twice() {
    let mut fixture = Fixture::right();
    fixture.purchase(9, 2, "C", bought(&[1]));
    fixture
        .sale()
        .orders
        .push(order_row("C", "r-u2", &[(1, None)]));
    // The table cannot hold both, so one of the answers is not there either.
    fixture.breaks(&[TWICE, THERE], "i1 answered as sold to A and C");
}

#[test]
fn an_item_twice_in_the_table_is_sold_twice() {
    let mut fixture = Fixture::right();
    fixture.sale().row.total_limit = 4;
    fixture
        .sale()
        .purchases
        .push(purchase_row(2, "someone", "Y"));
    fixture.breaks(&[TWICE], "i2 in the table for Z and Y");
}

#[test]
fn a_user_over_the_limit_is_found_in_answers_and_table() {
    let mut fixture = Fixture::right();
    fixture.sale().row.total_limit = 4;
    fixture.sale().purchases.push(purchase_row(3, "r-u0", "D"));
    fixture
        .sale()
        .orders
        .push(order_row("D", "r-u0", &[(3, None)]));
    fixture.breaks(&[LIMIT], "r-u0 has 3 or more in the table");
    fixture.purchase(9, 0, "D", bought(&[3]));
    fixture.breaks(&[LIMIT], "r-u0 was answered 3");
}

#[test]
fn a_sale_over_its_total_is_found() {
    let mut fixture = Fixture::right();
    fixture.sale().purchases.push(purchase_row(3, "other", "Y"));
    fixture.breaks(&[TOTAL], "4 in the table");
}

#[test]
fn an_answered_purchase_that_was_lost_is_found() {
    let mut fixture = Fixture::right();
    fixture.sale().purchases.retain(|row| row.item != 1);
    fixture.breaks(&[THERE], "stored as sold to nobody");
    let mut fixture = Fixture::right();
    fixture
        .sale()
        .orders
        .retain(|order| *order.code != *code("B"));
    fixture.breaks(&[THERE], "B of r-u1 was answered and has no order");
}

#[test]
fn an_order_that_tells_something_else_than_the_answer_is_found() {
    let mut fixture = Fixture::right();
    fixture.sale().orders[1].results = vec![(1, Some(Problem::LimitReached))];
    fixture.breaks(
        &[THERE],
        "i1 answered as already_sold, stored as limit_reached",
    );
    let mut fixture = Fixture::right();
    fixture.sale().orders[0].user = "r-u1".into();
    fixture.breaks(&[THERE], "A of r-u0 is an order of r-u1");
}

#[test]
fn of_fifty_equal_answers_one_that_differs_is_found() {
    let mut fixture = Fixture::right();
    for request in 10..60 {
        fixture.purchase(request, 0, "A", bought(&[0, 1]));
    }
    fixture.holds();
    fixture.purchase(60, 0, "A", bought(&[0]));
    // It differs from the stored order, and from the cart, too.
    fixture.breaks(
        &[THERE, ONE, CARTS],
        "A was answered 200 with [i0 i1] bought",
    );
}

#[test]
fn an_outcome_that_is_forgotten_later_is_found_whatever_is_said_instead() {
    for (answer, status) in [
        (
            Answer::Refused {
                status: 400,
                problem: Problem::SaleNotActive,
            },
            400,
        ),
        // Without its items it is no outcome.
        (
            Answer::Refused {
                status: 409,
                problem: Problem::AlreadySold,
            },
            409,
        ),
        (Answer::Unreadable { status: 200 }, 200),
    ] {
        let mut fixture = Fixture::right();
        fixture.purchase(9, 0, "A", answer);
        let expected = format!("A has an outcome and was answered {status}");
        fixture.breaks(&[ONE], &expected);
    }
    let mut fixture = Fixture::right();
    fixture.purchase(9, 0, "A", unknown_code());
    fixture.breaks(&[ONE, CARTS], "A has an outcome and was answered 404");
    // A failure says nothing about the outcome.
    let mut fixture = Fixture::right();
    let away = Answer::Refused {
        status: 503,
        problem: Problem::Unavailable,
    };
    fixture.purchase(9, 0, "A", away);
    fixture.holds();
}

#[test]
fn a_run_into_the_next_sale_is_judged_by_the_sale_that_each_code_names() {
    // A list of items is sold again in the next sale: the same ids, other things.
    let mut fixture = Fixture::right();
    let next_code: Arc<str> = format!("CHK-{NEXT}-A").into();
    let (user, item) = (0, 0);
    let added = Answer::Added {
        code: Arc::clone(&next_code),
    };
    let checkout = Call::Checkout { user, item };
    fixture.history.push(20, &checkout, &added, true);
    let refused = Answer::Refused {
        status: 409,
        problem: Problem::AlreadySold,
    };
    fixture.history.push(21, &checkout, &refused, true);
    let purchase = Call::Purchase {
        user,
        code: Arc::clone(&next_code),
    };
    fixture.history.push(22, &purchase, &bought(&[0]), true);
    assert_eq!(fixture.history.sales(), [SALE, NEXT]);

    let row = |request, code: Option<&Arc<str>>, outcome: &str| AttemptRow {
        sale: Some(NEXT.into()),
        code: code.map(|code| (**code).into()),
        ..attempt(request, "r-u0", 0, None, outcome)
    };
    fixture
        .stored_rows
        .attempts
        .push(row(20, Some(&next_code), "added"));
    fixture
        .stored_rows
        .attempts
        .push(row(21, None, "already_sold"));
    let mut next = fixture.sale().clone();
    next.id = NEXT.into();
    next.purchases = vec![PurchaseRow {
        code: Arc::clone(&next_code),
        ..purchase_row(0, "r-u0", "A")
    }];
    next.orders = vec![OrderRow {
        code: next_code,
        ..order_row("A", "r-u0", &[(0, None)])
    }];
    fixture.stored_rows.sales.push(next);
    fixture.holds();

    // What the next sale has stored is compared too.
    fixture.stored_rows.sales[1].purchases.clear();
    fixture.breaks(&[THERE], "was answered i0, stored as sold to nobody");
    fixture.stored_rows.sales.pop();
    fixture.breaks(&[THERE], "of r-u0 was answered and has no order");
}
