//! The log of attempts.

use flashsale_engine::postgres::operations::Postgres;
use flashsale_engine::{AttemptOutcome, CodeSuffix, Refusal};
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
    // The clock of a process may be off, but not by hours.
    let hour_us = 3_600_000_000;
    let mut early = added(7, (1, 1, 3));
    early.request.at_us = sale.window.starts_at.as_microsecond() - hour_us - 1;
    let mut late = added(8, (1, 1, 3));
    late.request.at_us = sale.window.ends_at.as_microsecond() + hour_us;
    let mut slow_clock = added(16, (4, 5, 2));
    slow_clock.request.at_us = sale.window.starts_at.as_microsecond() - 1;
    let mut other_partition = added(15, (1, 1, 5));
    other_partition.suffix = CodeSuffix::parse("0100000000000000000001");
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
        slow_clock,
        other_partition,
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
    assert_eq!(answers[8].matches("LoggedCart").count(), 4);
    let latest_of =
        |answer: &str, latest: bool| answer.matches(&format!("is_latest: {latest}")).count();
    // The cart that user 1 had before stays an earlier one when the latest is bought.
    assert_eq!(latest_of(&answers[3], false), 1);
    assert_eq!(latest_of(&answers[5], false), 1);
}

/// Attempts of days that are past keeping are gone, with a partition or without, and those of
/// another FlashSale stay.
async fn only_kept_days_remain(
    postgres: &impl Postgres,
    fixtures: [&Fixture; 2],
) -> Vec<[usize; 2]> {
    let days_ago = |days: i64| fixtures[0].now - SignedDuration::from_hours(24 * days);
    for fixture in fixtures {
        let (sale, flash_sale) = (fixture.sale(0), &fixture.flash_sale);
        let catalog = fixture.catalog(&sale);
        postgres.insert_sale(&sale, &catalog).await.unwrap();
        for (n, days) in (1..).zip([0_i64, 1, 2, 3]) {
            let mut attempt = fixture.added(&sale, n, (1, n as u8, 0));
            attempt.request.at_us = days_ago(days).as_microsecond();
            let attempts = [&attempt];
            let appended = postgres.append_attempts(flash_sale, &attempts);
            appended.await.unwrap();
        }
    }
    // A day that gets its partition late takes its attempts along.
    let flash_sale = &fixtures[0].flash_sale;
    for (first, days) in [(Some(days_ago(2)), 2), (Some(days_ago(2)), 1), (None, 3)] {
        let created = postgres.create_attempt_days(flash_sale, first, days);
        created.await.unwrap();
    }
    let mut remaining = Vec::new();
    for keep_days in [9, 3, 2, 1, 0] {
        let dropped = postgres.drop_attempt_days(flash_sale, keep_days);
        dropped.await.unwrap();
        let mut carts = [0; 2];
        for (carts, fixture) in carts.iter_mut().zip(fixtures) {
            let mut whole = fixture.sale(0);
            whole.window.starts_at = days_ago(9);
            whole.window.ends_at = fixture.now + SignedDuration::from_hours(1);
            *carts = postgres.read_carts(&whole, 0).await.unwrap().len();
        }
        remaining.push(carts);
    }
    remaining
}

#[tokio::test]
async fn attempts_of_days_past_keeping_are_dropped_for_one_flash_sale_on_both() {
    let (fixture, other) = (Fixture::new("days"), Fixture::new("other-days"));
    let on_fake = only_kept_days_remain(&fake(), [&fixture, &other]).await;
    assert_eq!(on_fake, [[4, 4], [4, 4], [3, 4], [2, 4], [1, 4]]);
    let real = real("days").await;
    assert_eq!(
        on_fake,
        only_kept_days_remain(&real, [&fixture, &other]).await
    );
}

#[tokio::test]
async fn the_fake_shows_its_log_and_its_days() {
    let (fake, fixture) = (fake(), Fixture::new("shown"));
    let flash_sale = &fixture.flash_sale;
    let first: Timestamp = "2026-02-27T23:59:59Z".parse().unwrap();
    let created = fake.create_attempt_days(flash_sale, Some(first), 3);
    created.await.unwrap();
    let days: Vec<String> = fake
        .attempt_days(flash_sale)
        .iter()
        .map(|day| day.to_string())
        .collect();
    assert_eq!(days, ["2026-02-27", "2026-02-28", "2026-03-01"]);
    let attempt = fixture.attempt(None, 1, 0);
    let twice = [&attempt, &attempt];
    fake.append_attempts(flash_sale, &twice).await.unwrap();
    assert_eq!(fake.attempts(), [attempt]);
}
