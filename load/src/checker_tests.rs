#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::call::Call;
use crate::truth::SaleRow;

/// A small run that is right: two users, three items, a repeat and a refusal.
struct Story {
    history: History,
    truth: Truth,
}

const TWICE: &str = "nothing is sold twice";
const LIMIT: &str = "nobody is over the limit";
const TOTAL: &str = "the total is not exceeded";
const THERE: &str = "every answered purchase is there";
const ONE: &str = "a code has one outcome";
const LOGGED: &str = "every answered attempt is logged once";

fn bought(items: &[ItemNo]) -> Answer {
    Answer::Outcome(Arc::new(Outcome {
        status: 200,
        bought: items.to_vec(),
        failed: vec![],
    }))
}

fn purchase_row(item: ItemNo, user: &str, code: &str) -> PurchaseRow {
    PurchaseRow {
        item,
        user: user.into(),
        code: code.into(),
    }
}

fn order_row(code: &str, user: &str, results: &[(ItemNo, Option<Problem>)]) -> OrderRow {
    OrderRow {
        code: code.into(),
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
        user: Some(user.into()),
        item: Some(item),
        code: code.map(Into::into),
        outcome: outcome.into(),
    }
}

impl Story {
    fn right() -> Self {
        let mut story = Self {
            history: History::default(),
            truth: Truth {
                sale: SaleRow {
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
                attempts: vec![
                    attempt(0, "r-u0", 0, Some("A"), "added"),
                    attempt(1, "r-u0", 1, Some("A"), "added"),
                    attempt(2, "r-u1", 1, Some("B"), "added"),
                    attempt(3, "r-u1", 0, None, "already_sold"),
                ],
            },
        };
        story.checkout(0, 0, 0, Answer::Added { code: "A".into() });
        story.checkout(1, 0, 1, Answer::Added { code: "A".into() });
        story.checkout(2, 1, 1, Answer::Added { code: "B".into() });
        let sold = Answer::Refused {
            status: 409,
            problem: Problem::AlreadySold,
        };
        story.checkout(3, 1, 0, sold);
        story.purchase(4, 0, "A", Answer::None);
        story.purchase(5, 0, "A", bought(&[0, 1]));
        story.purchase(6, 0, "A", bought(&[0, 1]));
        let nothing = Outcome {
            status: 409,
            bought: vec![],
            failed: vec![(1, Problem::AlreadySold)],
        };
        story.purchase(7, 1, "B", Answer::Outcome(Arc::new(nothing)));
        story.checkout(8, 1, 2, Answer::None);
        story
    }

    fn checkout(&mut self, request: RequestNo, user: u32, item: ItemNo, answer: Answer) {
        self.history
            .push(request, &Call::Checkout { user, item }, &answer);
    }

    fn purchase(&mut self, request: RequestNo, user: u32, code: &str, answer: Answer) {
        let code = code.into();
        self.history
            .push(request, &Call::Purchase { user, code }, &answer);
    }

    fn judged(&self) -> Vec<Verdict> {
        let catalogue = Catalogue::listed("sale", ["i0", "i1", "i2", "i3"]);
        check(&self.history, &self.truth, &RunId::from("r"), &catalogue)
    }

    /// Exactly these invariants are broken, and each says by whom.
    #[track_caller]
    fn breaks(&self, expected: &[&str], offender: &str) {
        let verdicts = self.judged();
        let broken: Vec<_> = verdicts.iter().filter(|v| !v.held).collect();
        let names: Vec<_> = broken.iter().map(|v| v.invariant).collect();
        assert_eq!(names, expected, "{verdicts:#?}");
        assert!(
            broken.iter().any(|v| v.detail.contains(offender)),
            "{broken:#?}"
        );
    }
}

#[test]
fn a_right_history_holds_everywhere() {
    let verdicts = Story::right().judged();
    assert_eq!(verdicts.len(), 6);
    assert!(verdicts.iter().all(|verdict| verdict.held), "{verdicts:#?}");
}

#[test]
fn an_item_answered_to_two_codes_is_sold_twice() {
    let mut story = Story::right();
    story.purchase(9, 2, "C", bought(&[1]));
    story
        .truth
        .orders
        .push(order_row("C", "r-u2", &[(1, None)]));
    // The table cannot hold both, so one of the answers is not there either.
    story.breaks(&[TWICE, THERE], "i1 answered as sold to A and C");
}

#[test]
fn an_item_twice_in_the_table_is_sold_twice() {
    let mut story = Story::right();
    story.truth.sale.total_limit = 4;
    story.truth.purchases.push(purchase_row(2, "someone", "Y"));
    story.breaks(&[TWICE], "i2 in the table for Z and Y");
}

#[test]
fn a_user_over_the_limit_is_found_in_answers_and_table() {
    let mut story = Story::right();
    story.truth.sale.total_limit = 4;
    story.truth.purchases.push(purchase_row(3, "r-u0", "D"));
    story
        .truth
        .orders
        .push(order_row("D", "r-u0", &[(3, None)]));
    story.breaks(&[LIMIT], "r-u0 has 3 in the table");
    story.purchase(9, 0, "D", bought(&[3]));
    story.breaks(&[LIMIT], "r-u0 was answered 3");
}

#[test]
fn a_sale_over_its_total_is_found() {
    let mut story = Story::right();
    story.truth.purchases.push(purchase_row(3, "other", "Y"));
    story.breaks(&[TOTAL], "4 in the table");
}

#[test]
fn an_answered_purchase_that_was_lost_is_found() {
    let mut story = Story::right();
    story.truth.purchases.retain(|row| row.item != 1);
    story.breaks(&[THERE], "stored as sold to nobody");
    let mut story = Story::right();
    story.truth.orders.retain(|order| *order.code != *"B");
    story.breaks(&[THERE], "B of r-u1 was answered and has no order");
}

#[test]
fn an_order_that_tells_something_else_than_the_answer_is_found() {
    let mut story = Story::right();
    story.truth.orders[1].results = vec![(1, Some(Problem::LimitReached))];
    story.breaks(
        &[THERE],
        "i1 answered as already_sold, stored as limit_reached",
    );
    let mut story = Story::right();
    story.truth.orders[0].user = "r-u1".into();
    story.breaks(&[THERE], "A of r-u0 is an order of r-u1");
}

#[test]
fn of_fifty_equal_answers_one_that_differs_is_found() {
    let mut story = Story::right();
    for request in 10..60 {
        story.purchase(request, 0, "A", bought(&[0, 1]));
    }
    assert!(story.judged().iter().all(|verdict| verdict.held));
    story.purchase(60, 0, "A", bought(&[0]));
    // It differs from the stored order too.
    story.breaks(&[THERE, ONE], "A was answered 200 with [i0 i1] bought");
}

#[test]
fn an_outcome_that_is_forgotten_later_is_found() {
    let mut story = Story::right();
    let unknown = Answer::Refused {
        status: 404,
        problem: Problem::UnknownCode,
    };
    story.purchase(9, 0, "A", unknown);
    story.breaks(&[ONE], "A has an outcome and was answered 404");
}

#[test]
fn an_attempt_that_is_missing_doubled_or_wrong_is_found() {
    let mut story = Story::right();
    story.truth.attempts.remove(3);
    story.breaks(&[LOGGED], "r-3 was answered and is not logged");
    assert_eq!(missing_attempts(&story.history, &story.truth), 1);
    story.truth.sale.best_effort = true;
    assert!(story.judged().iter().all(|verdict| verdict.held));

    let mut story = Story::right();
    let doubled = story.truth.attempts[0].clone();
    story.truth.attempts.push(doubled);
    story.breaks(&[LOGGED], "r-0 is logged twice");

    let mut story = Story::right();
    story.truth.attempts[3].outcome = "sold_out".into();
    story.breaks(
        &[LOGGED],
        "r-3 is logged as sold_out instead of already_sold",
    );

    let mut story = Story::right();
    story.truth.attempts[0].code = Some("B".into());
    story.breaks(&[LOGGED], "instead of A");
}

#[test]
fn a_call_without_an_answer_may_be_logged_once_but_never_twice() {
    let mut story = Story::right();
    let row = attempt(8, "r-u1", 2, Some("B"), "added");
    story.truth.attempts.push(row.clone());
    assert!(story.judged().iter().all(|verdict| verdict.held));
    story.truth.attempts.push(row);
    story.breaks(&[LOGGED], "r-8 is logged twice");
}

#[test]
fn a_verdict_counts_all_offenders_and_names_five() {
    let mut story = Story::right();
    for request in 100..120 {
        let sold = Answer::Refused {
            status: 409,
            problem: Problem::AlreadySold,
        };
        story.checkout(request, 1, 0, sold);
    }
    let verdicts = story.judged();
    let logged = verdicts.iter().find(|v| v.invariant == LOGGED).unwrap();
    assert!(logged.detail.contains("20 broke it"), "{}", logged.detail);
    assert_eq!(logged.detail.matches("is not logged").count(), 5);
}
