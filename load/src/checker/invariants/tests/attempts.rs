//! Rows of attempts that are wrong on purpose.

use super::*;

#[test]
fn an_attempt_that_is_missing_doubled_or_wrong_is_found() {
    let mut fixture = Fixture::right();
    fixture.stored_rows.attempts.remove(3);
    fixture.breaks(&[LOGGED], "r-3 was answered and is not logged");
    assert_eq!(missing_attempts(&fixture.history, &fixture.stored_rows), 1);
    fixture.sale().row.best_effort = true;
    fixture.holds();

    let mut fixture = Fixture::right();
    let doubled = fixture.stored_rows.attempts[0].clone();
    fixture.stored_rows.attempts.push(doubled);
    fixture.breaks(&[LOGGED], "r-0 is logged twice");

    let mut fixture = Fixture::right();
    fixture.stored_rows.attempts[3].outcome = "sold_out".into();
    fixture.breaks(
        &[LOGGED],
        "r-3 is logged as sold_out instead of already_sold",
    );

    let mut fixture = Fixture::right();
    fixture.stored_rows.attempts[0].code = Some(code("B").into());
    fixture.breaks(&[LOGGED], "instead of A");
}

#[test]
fn a_row_of_another_user_item_or_sale_is_found_also_where_it_holds_none() {
    type Damage = fn(&mut AttemptRow);
    let damages: [(Damage, &str); 6] = [
        (|row| row.user = None, "for nobody instead of r-u"),
        (|row| row.user = Some("x".into()), "for x instead of r-u"),
        (
            |row| row.item = None,
            "with no item of the catalogue instead",
        ),
        (|row| row.item = Some(2), "with i2 instead of i0"),
        (|row| row.sale = None, "in no sale"),
        (|row| row.sale = Some(NEXT.into()), "in ns.s.20261123T0900Z"),
    ];
    let (an_added_one, a_refused_one) = (0, 3);
    for attempt in [an_added_one, a_refused_one] {
        for (damage, expected) in damages {
            let mut fixture = Fixture::right();
            damage(&mut fixture.stored_rows.attempts[attempt]);
            fixture.breaks(&[LOGGED], expected);
        }
    }
}

#[test]
fn a_call_without_an_answer_may_be_logged_once_but_never_twice() {
    let mut fixture = Fixture::right();
    let row = attempt(8, "r-u1", 2, Some("B"), "added");
    fixture.stored_rows.attempts.push(row.clone());
    fixture.holds();
    fixture.stored_rows.attempts.push(row);
    fixture.breaks(&[LOGGED], "r-8 is logged twice");
}

#[test]
fn a_verdict_counts_all_offenders_and_names_five() {
    let mut fixture = Fixture::right();
    for request in 100..120 {
        let sold = Answer::Refused {
            status: 409,
            problem: Problem::AlreadySold,
        };
        fixture.checkout(request, 1, 0, sold);
    }
    let verdicts = fixture.judged();
    let logged = verdicts.iter().find(|v| v.invariant == LOGGED).unwrap();
    assert!(logged.detail.contains("20 broke it"), "{}", logged.detail);
    assert_eq!(logged.detail.matches("is not logged").count(), 5);
}

#[test]
fn a_sale_that_is_over_has_no_sale_to_log_a_refusal_with() {
    let mut fixture = Fixture::right();
    let closed = || Answer::Refused {
        status: 400,
        problem: Problem::SaleNotActive,
    };
    fixture.checkout(20, 0, 0, closed());
    let row = AttemptRow {
        sale: None,
        ..attempt(20, "r-u0", 0, None, "sale_not_active")
    };
    fixture.stored_rows.attempts.push(row);
    fixture.holds();
}
