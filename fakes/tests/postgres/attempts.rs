//! The log of attempts.

use flashsale_engine::postgres::operations::Postgres;
use flashsale_engine::{AttemptOutcome, Refusal};
use jiff::{SignedDuration, Timestamp};

use crate::operations::{Fixture, Operation as O, claim, sold};
use crate::support::{assert_same, fake, real};

#[tokio::test]
async fn carts_are_read_from_the_log_as_on_the_server() {
    let fixture = Fixture::new("carts");
    let (sale, other) = (fixture.sale(0), fixture.sale(1));
    let added = |n, cart| fixture.added(&sale, n, cart);
    let mut in_cart = added(5, (1, 1, 5));
    in_cart.outcome = AttemptOutcome::InCart;
    let mut refused = added(6, (1, 1, 4));
    refused.outcome = AttemptOutcome::Refused(Refusal::CartFull);
    let mut early = added(7, (1, 1, 3));
    early.request.at_us = sale.window.starts_at.as_microsecond() - 1;
    let mut late = added(8, (1, 1, 3));
    late.request.at_us = sale.window.ends_at.as_microsecond();
    let mut unknown_item = added(9, (1, 1, 3));
    unknown_item.request.item = Some(fixture.item(&other, 3));
    let attempts = vec![
        added(3, (1, 1, 0)),
        added(1, (1, 1, 2)),
        added(2, (2, 2, 1)),
        in_cart,
        refused,
        early,
        late,
        unknown_item,
        // The user's next cart, and a repeat of an item in it.
        added(10, (1, 3, 4)),
        added(11, (1, 3, 0)),
        added(12, (1, 3, 4)),
        added(13, (3, 4, 4)),
        fixture.attempt(None, 14, 0),
    ];
    let operations = [
        O::InsertSale(sale.clone()),
        O::ReadCarts(sale.clone()),
        O::AppendAttempts(attempts.clone()),
        O::ReadCarts(sale.clone()),
        O::InsertOrders(vec![claim(&sale, 3, 1, &[(4, sold(1, 1))])]),
        O::ReadCarts(sale.clone()),
        // Some are there already, and one is new.
        O::AppendAttempts([&attempts[..4], &[added(20, (2, 2, 5))]].concat()),
        O::AppendAttempts(vec![]),
        O::ReadCarts(sale.clone()),
        O::ReadCarts(other),
    ];
    let answers = assert_same("carts", &fixture, &operations).await;
    assert_eq!(answers[8].matches("LoggedCart").count(), 3);
}

/// Attempts of days that are past keeping are gone, with a partition or without.
async fn only_kept_days_remain(postgres: &impl Postgres, fixture: &Fixture) -> Vec<usize> {
    let sale = fixture.sale(0);
    postgres
        .insert_sale(&sale, &fixture.catalog(&sale))
        .await
        .unwrap();
    let days_ago = |days: i64| fixture.now - SignedDuration::from_hours(24 * days);
    let mut remaining = Vec::new();
    for (n, days) in (1..).zip([0_i64, 1, 2, 3]) {
        let mut attempt = fixture.added(&sale, n, (1, n as u8, 0));
        attempt.request.at_us = days_ago(days).as_microsecond();
        postgres.append_attempts(&[&attempt]).await.unwrap();
    }
    // A day that gets its partition late takes its attempts along.
    postgres
        .create_attempt_days(Some(days_ago(2)), 2)
        .await
        .unwrap();
    postgres
        .create_attempt_days(Some(days_ago(2)), 1)
        .await
        .unwrap();
    postgres.create_attempt_days(None, 3).await.unwrap();
    let mut whole = sale.clone();
    whole.window.starts_at = days_ago(9);
    whole.window.ends_at = fixture.now + SignedDuration::from_hours(1);
    for keep_days in [9, 3, 2, 1, 0] {
        postgres.drop_attempt_days(keep_days).await.unwrap();
        remaining.push(postgres.read_carts(&whole).await.unwrap().len());
    }
    remaining
}

#[tokio::test]
async fn attempts_of_days_past_keeping_are_dropped_on_both() {
    let fixture = Fixture::new("days");
    let on_fake = only_kept_days_remain(&fake(), &fixture).await;
    assert_eq!(on_fake, [4, 4, 3, 2, 1]);
    assert_eq!(
        on_fake,
        only_kept_days_remain(&real("days").await, &fixture).await
    );
}

#[tokio::test]
async fn the_fake_shows_its_log_and_its_days() {
    let (fake, fixture) = (fake(), Fixture::new("shown"));
    let first: Timestamp = "2026-02-27T23:59:59Z".parse().unwrap();
    fake.create_attempt_days(Some(first), 3).await.unwrap();
    let days: Vec<String> = fake
        .attempt_days()
        .iter()
        .map(|day| day.to_string())
        .collect();
    assert_eq!(days, ["2026-02-27", "2026-02-28", "2026-03-01"]);
    let attempt = fixture.attempt(None, 1, 0);
    fake.append_attempts(&[&attempt, &attempt]).await.unwrap();
    assert_eq!(fake.attempts(), [attempt]);
}
