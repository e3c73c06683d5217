//! What is planted in a right run is found, and by the invariant that it breaks.

use flashsale_load::checker::verdict::Finding;
use flashsale_load::client::answer::Problem;
use flashsale_load::client::call::Call;

use super::fixture::{Fixture, SECOND, bought, code, hung_sale_master, refused};
use crate::history::FaultRecord;
use crate::judge::{answered_purchases, judge};
use crate::plan::Fault;

fn purchase(user: u32) -> Call {
    Call::Purchase {
        user,
        code: code(user).into(),
    }
}

fn checkout(user: u32, item: u32) -> Call {
    Call::Checkout { user, item }
}

#[test]
fn a_right_run_holds_everywhere() {
    let fixture = Fixture::right();
    assert_eq!(judge(&fixture.history, &fixture.evidence).len(), 10);
    assert_eq!(answered_purchases(&fixture.history), 120);
    fixture.holds();
}

#[test]
fn an_item_that_is_answered_to_two_codes() {
    let mut fixture = Fixture::right();
    fixture.add(7, purchase(7), 40 * SECOND, bought(&[3]));
    let (numbers, details) = fixture.faults();
    assert!(
        numbers.contains(&"1") && numbers.contains(&"5"),
        "{details}"
    );
    assert!(details.contains("i3 answered as sold to"), "{details}");
}

#[test]
fn a_user_with_more_items_than_the_limit() {
    let mut fixture = Fixture::right();
    fixture.sale().row.per_user = 1;
    let mut second = fixture.sale().purchases[5].clone();
    second.item = 900;
    fixture.sale().purchases.push(second);
    fixture.redis().sold.insert(900);
    fixture.breaks(&["2"], "r-u5 has 2 or more in the table");
}

#[test]
fn more_items_than_the_total() {
    let mut fixture = Fixture::right();
    fixture.sale().row.total_limit = 119;
    fixture.breaks(&["3"], "120 in the table");
}

#[test]
fn an_answered_purchase_that_postgres_lost() {
    let mut fixture = Fixture::right();
    fixture.sale().orders.remove(4);
    fixture.sale().purchases.remove(4);
    fixture.redis().sold.remove(&4);
    fixture.redis().outcomes -= 1;
    fixture.breaks(&["4"], "was answered and has no order");
}

#[test]
fn a_code_whose_second_answer_differs() {
    let mut fixture = Fixture::right();
    let closed = refused(400, Problem::SaleNotActive);
    fixture.add(20, purchase(20), 61 * SECOND, closed);
    fixture.breaks(&["5"], "has an outcome and was answered 400");
}

#[test]
fn a_code_that_was_refused_and_committed_afterwards() {
    let mut fixture = Fixture::right();
    let of_user_9 =
        |record: &&mut crate::history::CallRecord| record.user == 9 && record.is_purchase();
    let record = fixture.history.calls.iter_mut().find(of_user_9).unwrap();
    record.answer = refused(400, Problem::SaleNotActive);
    record.began_us = 61 * SECOND;
    record.ended_us = 61 * SECOND;
    fixture.breaks(&["5"], "-9 has an outcome and was answered 400");
}

#[test]
fn items_that_only_one_backend_has_sold() {
    let mut fixture = Fixture::right();
    fixture.redis().sold.insert(500);
    fixture.breaks(&["6"], "i500 is sold in Redis and not in Postgres");
    let mut fixture = Fixture::right();
    fixture.redis().sold.remove(&8);
    fixture.breaks(&["6"], "i8 is sold in Postgres and not in Redis");
}

#[test]
fn a_claim_that_never_became_an_order() {
    let mut fixture = Fixture::right();
    fixture.redis().outcomes += 2;
    fixture.breaks(&["6"], "2 claims in Redis have no order in Postgres");
}

#[test]
fn a_claim_that_waited_long_for_its_commit_unless_postgres_was_away() {
    let mut fixture = Fixture::right();
    let commit = &mut fixture.evidence.commits[30];
    let claimed_us = commit.claimed_us;
    commit.committed_us = Some(claimed_us + 20 * SECOND);
    fixture.breaks(&["6"], "waited 20 s for its commit");
    fixture.history.faults.push(FaultRecord {
        fault: Fault::HangPostgres,
        master: None,
        serves_again_us: Some(claimed_us + 18 * SECOND),
        ..hung_sale_master(claimed_us - SECOND, claimed_us + 18 * SECOND)
    });
    fixture.holds();
}

#[test]
fn a_sale_that_was_not_settled() {
    let mut fixture = Fixture::right();
    fixture.evidence.is_settled = false;
    fixture.breaks(&["6"], "did not settle");
}

#[test]
fn attempts_that_are_missing_or_logged_twice() {
    let mut fixture = Fixture::right();
    let attempt = fixture.evidence.stored.attempts.remove(11);
    fixture.breaks(&["7"], "was answered and is not logged");
    let mut fixture = Fixture::right();
    fixture.evidence.stored.attempts.push(attempt);
    fixture.breaks(&["7"], "is logged twice");
}

#[test]
fn an_attempt_may_be_missing_where_its_process_and_the_writes_of_redis_were_lost_together() {
    let mut fixture = Fixture::right();
    // The user of an odd number calls the second process.
    let attempt = fixture.evidence.stored.attempts.remove(41);
    let answered_us = fixture.history.calls[attempt.request as usize].ended_us;
    let killed = FaultRecord {
        fault: Fault::KillApi {
            process: 1,
            holding_ms: 0,
        },
        master: None,
        serves_again_us: None,
        ..hung_sale_master(answered_us + SECOND, answered_us + 2 * SECOND)
    };
    fixture.history.faults.push(killed.clone());
    fixture.breaks(&["7"], "was answered and is not logged");
    fixture.history.faults.push(FaultRecord {
        fault: Fault::FlushAll,
        ..killed.clone()
    });
    fixture.holds();
    // Not the attempts of the process that went on.
    fixture.history.faults[0].fault = Fault::KillApi {
        process: 0,
        holding_ms: 0,
    };
    fixture.breaks(&["7"], "was answered and is not logged");
}

#[test]
fn purchases_may_be_missing_that_a_promoted_standby_had_not_received_and_no_others() {
    let lose_order = |at: usize| {
        let mut fixture = Fixture::right();
        let order = fixture.sale().orders.remove(at);
        fixture.sale().purchases.remove(at);
        fixture.redis().sold.remove(&order.results[0].0);
        fixture.redis().outcomes -= 1;
        fixture.evidence.claimed_us.remove(&order.results[0].0);
        // Claimed at 20 s, by the clock of the fixture: the standby lacks what came since 18 s.
        fixture.history.faults.push(FaultRecord {
            fault: Fault::PromoteLaggingStandby { lag_ms: 2_000 },
            master: None,
            ..hung_sale_master(20 * SECOND, 21 * SECOND)
        });
        fixture
    };
    lose_order(39).holds();
    lose_order(30).breaks(&["4"], "was answered and has no order");

    // What such a purchase bought stays sold in Redis until the audit.
    let refuse_for_long = |mut fixture: Fixture, item| {
        for (user, at_us) in [(901, 25 * SECOND), (902, 40 * SECOND)] {
            refuse_as_sold(&mut fixture, user, item, at_us);
        }
        fixture
    };
    refuse_for_long(lose_order(39), 39).holds();
    let unsold = "i700 was refused as sold over 15 s and was never sold";
    refuse_for_long(lose_order(39), 700).breaks(&["8"], unsold);
}

/// A checkout of an item that is refused as sold, and its attempt.
fn refuse_as_sold(fixture: &mut Fixture, user: u32, item: u32, at_us: i64) {
    let answer = refused(409, Problem::AlreadySold);
    let request = fixture.add(user, checkout(user, item), at_us, answer);
    let attempts = &mut fixture.evidence.stored.attempts;
    attempts.push(flashsale_load::checker::stored_rows::AttemptRow {
        request,
        code: None,
        item: Some(item),
        user: Some(format!("r-u{user}").into()),
        outcome: "already_sold".into(),
        ..attempts[0].clone()
    });
}

#[test]
fn an_unsold_item_that_is_refused_as_sold_for_long() {
    let mut fixture = Fixture::right();
    for (user, at_us) in [(901, 10 * SECOND), (902, 19 * SECOND)] {
        refuse_as_sold(&mut fixture, user, 700, at_us);
    }
    fixture.holds();
    let last = fixture.history.calls.last_mut().unwrap();
    last.ended_us += 2 * SECOND;
    fixture.breaks(
        &["8"],
        "i700 was refused as sold over 11 s and was never sold",
    );
    // Sold before the first refusal: rightly refused.
    fixture.store(950, 700, 9 * SECOND);
    fixture.holds();
}

#[test]
fn a_sale_that_sells_outside_its_window_or_refuses_inside() {
    let mut fixture = Fixture::right();
    fixture.evidence.commits[119].claimed_us = 62 * SECOND;
    fixture.breaks(&["9"], "was claimed 2000 ms after the close");

    let mut fixture = Fixture::right();
    fixture.history.calls[0].began_us = -SECOND;
    fixture.history.calls[0].ended_us = -SECOND + 1_000;
    fixture.breaks(&["9"], "was answered 200 at -999 ms before the opening");

    let mut fixture = Fixture::right();
    let last = fixture
        .history
        .calls
        .iter_mut()
        .rfind(|record| matches!(record.call, Call::Checkout { .. }));
    let last = last.unwrap();
    (last.began_us, last.ended_us) = (61 * SECOND, 61 * SECOND + 1_000);
    fixture.breaks(&["9"], "was answered 200 at 61001 ms after the close");

    let mut fixture = Fixture::right();
    let closed = || refused(400, Problem::SaleNotActive);
    fixture.add(999, purchase(999), 30 * SECOND, closed());
    fixture.breaks(
        &["9"],
        "was answered 400 at 30001 ms while the sale was open",
    );
}

#[test]
fn a_sale_that_opens_late_or_closes_early_unless_a_fault_explains_it() {
    let opens_late = || {
        let mut fixture = Fixture::right();
        let early = fixture.history.calls.iter_mut();
        for record in early.filter(|record| record.due_us < SECOND) {
            record.ended_us += SECOND;
            if matches!(record.call, Call::Checkout { .. }) {
                record.answer = flashsale_load::client::answer::Answer::None;
            }
        }
        fixture
    };
    let mut fixture = opens_late();
    fixture.breaks(&["9"], "no item was added in the first second");
    fixture
        .history
        .faults
        .push(hung_sale_master(-SECOND, SECOND));
    let verdicts = judge(&fixture.history, &fixture.evidence);
    let ninth = verdicts
        .iter()
        .find(|numbered| numbered.number == "9")
        .unwrap();
    assert_eq!(ninth.verdict.finding, Finding::NotChecked);
    // Without its operator a sale opens on time.
    fixture.history.faults[0].fault = Fault::KillOperator;
    fixture.breaks(&["9"], "no item was added in the first second");
}

#[test]
fn an_answered_code_that_becomes_unknown() {
    let mut fixture = Fixture::right();
    let unknown = refused(404, Problem::UnknownCode);
    fixture.add(33, purchase(33), 50 * SECOND, unknown);
    fixture.breaks(&["5", "carts"], "was answered and is unknown later");
}

#[test]
fn a_cart_that_misses_an_item_that_was_answered_as_added() {
    let mut fixture = Fixture::right();
    let of_user_12 = |record: &&mut crate::history::CallRecord| {
        record.user == 12 && matches!(record.call, Call::Cart { .. })
    };
    let record = fixture.history.calls.iter_mut().find(of_user_12).unwrap();
    record.answer = flashsale_load::client::answer::Answer::Cart { items: [].into() };
    fixture.breaks(&["carts"], "i12 was answered as added to");
}

#[test]
fn nothing_is_called_held_where_redis_was_not_read_or_nobody_called() {
    let mut fixture = Fixture::right();
    fixture.evidence.redis = None;
    let verdicts = judge(&fixture.history, &fixture.evidence);
    let sixth = verdicts
        .iter()
        .find(|numbered| numbered.number == "6")
        .unwrap();
    assert_eq!(sixth.verdict.finding, Finding::NotChecked);

    let mut empty = Fixture::right();
    empty.history.calls.clear();
    empty.evidence.stored.attempts.clear();
    empty.sale().purchases.clear();
    empty.sale().orders.clear();
    empty.evidence.commits.clear();
    *empty.redis() = crate::judge::RedisSale {
        sold: [].into(),
        outcomes: 0,
    };
    let verdicts = judge(&empty.history, &empty.evidence);
    let is_held =
        |numbered: &&crate::judge::NumberedVerdict| numbered.verdict.finding == Finding::Held;
    assert_eq!(verdicts.iter().find(is_held), None);
}
