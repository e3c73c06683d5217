//! Carts that lose what was answered.

use super::*;

fn cart(fixture: &mut Fixture, request: RequestNo, code: &str, items: &[ItemNo], at_close: bool) {
    let call = Call::Cart {
        code: self::code(code).into(),
    };
    let answer = match items {
        [] => unknown_code(),
        items => Answer::Cart {
            items: items.into(),
        },
    };
    fixture.history.push(request, &call, &answer, at_close);
}

#[test]
fn a_cart_that_misses_an_answered_item_is_found_when_it_is_read() {
    let mut fixture = Fixture::right();
    cart(&mut fixture, 9, "A", &[1, 0], false);
    fixture.holds();
    cart(&mut fixture, 10, "A", &[1], false);
    fixture.breaks(&[CARTS], "i0 was answered as added to A and is not in it");
}

#[test]
fn a_code_that_becomes_unknown_is_found_unless_its_sale_has_ended() {
    let mut fixture = Fixture::right();
    cart(&mut fixture, 9, "A", &[], true);
    fixture.holds();
    cart(&mut fixture, 10, "A", &[], false);
    fixture.breaks(&[CARTS], "A was answered and is unknown later");
}

#[test]
fn a_purchase_that_misses_an_answered_item_is_found_in_its_answer_and_in_its_order() {
    let mut fixture = Fixture::right();
    fixture.checkout(9, 0, 3, added("A"));
    fixture
        .stored_rows
        .attempts
        .push(attempt(9, "r-u0", 3, Some("A"), "added"));
    // Answered as added after the purchase, under a code that has its outcome already.
    fixture.breaks(&[CARTS], "i3 was added to A and is not in its order");
    fixture.purchase(10, 0, "A", bought(&[0, 1]));
    fixture.breaks(&[CARTS], "i3 was answered as added to A and is not in it");
}

#[test]
fn an_order_whose_code_was_refused_is_an_outcome_that_was_not_answered() {
    let mut fixture = Fixture::right();
    fixture.sale().row.total_limit = 4;
    fixture.checkout(9, 1, 3, added("C"));
    fixture
        .stored_rows
        .attempts
        .push(attempt(9, "r-u1", 3, Some("C"), "added"));
    let closed = Answer::Refused {
        status: 400,
        problem: Problem::SaleNotActive,
    };
    fixture.purchase(10, 1, "C", closed);
    fixture.holds();
    fixture
        .sale()
        .orders
        .push(order_row("C", "r-u1", &[(3, None)]));
    fixture.sale().purchases.push(purchase_row(3, "r-u1", "C"));
    fixture.breaks(&[ONE], "C has an outcome and was answered 400");
}

#[test]
fn a_user_who_gets_another_code_before_the_first_one_is_bought_has_lost_a_cart() {
    let adds = |fixture: &mut Fixture, request, item, code: &str| {
        fixture.checkout(request, 5, item, added(code));
        let row = attempt(request, "r-u5", item, Some(code), "added");
        fixture.stored_rows.attempts.push(row);
    };
    let mut fixture = Fixture::right();
    adds(&mut fixture, 9, 2, "E");
    adds(&mut fixture, 10, 3, "E");
    fixture.holds();
    adds(&mut fixture, 11, 0, "F");
    fixture.breaks(&[CARTS], "E was not bought and F took its place");

    // Behind a purchase, also one whose answer never came, a new code is right.
    let mut fixture = Fixture::right();
    adds(&mut fixture, 9, 2, "E");
    fixture.purchase(10, 5, "E", Answer::None);
    adds(&mut fixture, 11, 3, "F");
    fixture.holds();
}
