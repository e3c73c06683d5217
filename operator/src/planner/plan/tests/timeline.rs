//! Sales as they should be: prepared, open, closed, settled, kept and forgotten, on any day.

use super::*;

#[test]
fn an_hourly_sale_from_warm_up_to_cool_down() {
    let log = log_between(
        &settings(HOURLY),
        "2026-11-23T07:40:00Z",
        "2026-11-23T08:56:00Z",
        &mut observed(vec![]),
    );
    // Before, the sale of 07:00 was nobody's: the resource was not there.
    assert_eq!(
        log,
        [
            "23 07:40:00 is Scheduled",
            "23 07:57:00 seed 20261123T0800Z",
            "23 07:57:00 is WarmingUp",
            "23 08:00:00 is Selling",
            "23 08:30:00 close 20261123T0800Z",
            "23 08:30:00 settle 20261123T0800Z",
            "23 08:30:00 is CoolingDown",
            "23 08:35:00 retire 20261123T0800Z",
            "23 08:35:00 is Scheduled",
        ]
    );
}

#[test]
fn sales_back_to_back_prepare_the_next_one_while_one_is_open() {
    let settings = settings("schedule: '0 * * * *'\nduration: 1h");
    let mut world = observed(vec![seeded(&settings, "2026-11-23T08:00:00Z")]);
    let log = log_between(
        &settings,
        "2026-11-23T08:30:00Z",
        "2026-11-23T09:06:00Z",
        &mut world,
    );
    assert_eq!(
        log,
        [
            "23 08:30:00 is Selling",
            "23 08:57:00 seed 20261123T0900Z",
            "23 09:00:00 close 20261123T0800Z",
            "23 09:00:00 settle 20261123T0800Z",
            "23 09:05:00 retire 20261123T0800Z",
        ]
    );
}

#[test]
fn pods_are_up_from_warm_up_to_cool_down() {
    let settings = settings(HOURLY);
    let sale = || seeded(&settings, "2026-11-23T08:00:00Z");
    let over = || ObservedSale {
        retired_at: None,
        ..settled(&settings, "2026-11-23T08:00:00Z")
    };
    let cases = [
        ("2026-11-23T07:56:59Z", observed(vec![]), Scale::Idle),
        ("2026-11-23T07:57:00Z", observed(vec![]), Scale::Sale),
        ("2026-11-23T08:10:00Z", observed(vec![sale()]), Scale::Sale),
        ("2026-11-23T08:34:59Z", observed(vec![over()]), Scale::Sale),
        ("2026-11-23T08:35:00Z", observed(vec![over()]), Scale::Idle),
    ];
    for (now, world, scale) in cases {
        assert_eq!(plan(&settings, at(now), &world).scale, scale, "{now}");
    }
}

#[test]
fn a_single_sale_is_held_once() {
    let settings =
        settings("startAt: 2026-11-27T08:00:15Z\nduration: 90s\napi: {warmUp: 10s, coolDown: 5s}");
    let log = log_between(
        &settings,
        "2026-11-27T00:00:00Z",
        "2027-11-27T00:00:00Z",
        &mut observed(vec![]),
    );
    assert_eq!(
        log[..8],
        [
            "27 00:00:00 is Scheduled",
            "27 08:00:05 seed 20261127T0800Z",
            "27 08:00:05 is WarmingUp",
            "27 08:00:15 is Selling",
            "27 08:01:45 close 20261127T0800Z",
            "27 08:01:45 settle 20261127T0800Z",
            "27 08:01:45 is CoolingDown",
            "27 08:01:50 retire 20261127T0800Z",
        ]
    );
    assert_eq!(log[8..], ["27 08:01:50 is Finished"]);
}

#[test]
fn a_leap_day_sale_waits_for_its_day() {
    let settings = settings("schedule: '0 9 29 2 *'\nduration: 24h");
    let log = log_between(
        &settings,
        "2027-03-01T00:00:00Z",
        "2028-02-29T10:00:00Z",
        &mut observed(vec![]),
    );
    let expected = [
        "01 00:00:00 is Scheduled",
        "29 08:57:00 seed 20280229T0900Z",
        "29 08:57:00 is WarmingUp",
        "29 09:00:00 is Selling",
    ];
    assert_eq!(log, expected);
}

// Berlin goes from 02:00 to 03:00 on 2027-03-28 at 01:00 UTC.
#[test]
fn a_start_that_the_clock_skips_is_no_missed_start() {
    let settings = settings("schedule: '30 2 * * *'\ntimeZone: Europe/Berlin");
    let world = observed(vec![settled(&settings, "2027-03-27T01:30:00Z")]);
    let plan = plan(&settings, at("2027-03-28T12:00:00Z"), &world);
    assert_eq!(
        plan.next.unwrap().window.starts_at,
        at("2027-03-29T00:30:00Z")
    );
    assert_eq!(
        plan.history.len(),
        1,
        "the sale of the 27th and nothing else"
    );
}

// Berlin goes from 03:00 back to 02:00 on 2026-10-25 at 01:00 UTC.
#[test]
fn a_start_that_the_clock_repeats_is_two_sales_with_two_ids() {
    let settings = settings("schedule: '30 2 * * *'\ntimeZone: Europe/Berlin\nduration: 30m");
    let mut world = observed(vec![]);
    let log = log_between(
        &settings,
        "2026-10-25T00:00:00Z",
        "2026-10-25T12:00:00Z",
        &mut world,
    );
    let seeds: Vec<_> = log.iter().filter(|line| line.contains("seed")).collect();
    assert_eq!(
        seeds,
        [
            "25 00:27:00 seed 20261025T0030Z",
            "25 01:27:00 seed 20261025T0130Z"
        ]
    );
}

#[test]
fn where_a_clock_change_brings_two_starts_together_the_first_sale_ends_when_the_second_opens() {
    // 01:00 and 03:00 are two hours apart, but for the night in which 02:00 is skipped.
    let settings = settings("schedule: '0 1,3 * * *'\ntimeZone: Europe/Berlin\nduration: 2h");
    let usual = settings.window(at("2027-03-27T00:00:00Z"));
    assert_eq!(usual.ends_at, at("2027-03-27T02:00:00Z"));
    let short = settings.window(at("2027-03-28T00:00:00Z"));
    assert_eq!(short.ends_at, at("2027-03-28T01:00:00Z"));
}

#[test]
fn a_sale_in_progress_is_attended_every_second_and_one_far_away_is_not() {
    let settings = settings(HOURLY);
    let open = observed(vec![ObservedSale {
        sold: 100,
        ..seeded(&settings, "2026-11-23T08:00:00Z")
    }]);
    let plan_at = |now: &str, world: &Observed| plan(&settings, at(now), world);

    let sold_out = plan_at("2026-11-23T08:10:00Z", &open);
    assert_eq!(sold_out.phase, Phase::SoldOut);
    assert!(sold_out.in_progress);
    assert!(
        sold_out
            .actions
            .iter()
            .any(|action| matches!(action, Action::Maintain(_)))
    );

    let at_rest = Observed {
        partitions_maintained_at: Some(at("2026-11-23T08:30:00Z")),
        ..observed(vec![])
    };
    let rest = plan_at("2026-11-23T08:40:00Z", &at_rest);
    assert_eq!((rest.in_progress, rest.actions), (false, vec![]));
    assert_eq!(rest.next_change_at, Some(at("2026-11-23T08:57:00Z")));
}

#[test]
fn the_attempts_are_kept_in_order_once_in_six_hours() {
    let settings = settings("startAt: 2027-01-01T00:00:00Z\nattemptsRetentionDays: 7");
    let kept = |kept_at: Option<&str>| Observed {
        partitions_maintained_at: kept_at.map(at),
        ..observed(vec![])
    };
    let now = at("2026-11-23T12:00:00Z");
    let keep = vec![Action::MaintainPartitions { retention_days: 7 }];
    assert_eq!(plan(&settings, now, &kept(None)).actions, keep);
    assert_eq!(
        plan(&settings, now, &kept(Some("2026-11-23T06:00:00Z"))).actions,
        keep
    );
    let not_yet = plan(&settings, now, &kept(Some("2026-11-23T06:00:01Z")));
    assert_eq!(
        (not_yet.actions, not_yet.next_change_at),
        (vec![], Some(at("2026-11-23T12:00:01Z")))
    );
}

#[test]
fn the_history_keeps_the_newest_sales_within_its_limits() {
    let settings = settings(
        "schedule: '0 * * * *'\nstartingDeadlineSeconds: 60\nsuccessfulSalesHistoryLimit: 2\nfailedSalesHistoryLimit: 1",
    );
    let start = |hour: u32| format!("2026-11-23T{hour:02}:00:00Z");
    let mut world = observed(
        (1..=5)
            .map(|hour| settled(&settings, &start(hour)))
            .collect(),
    );
    // The sale of 06:00 was missed; a status of yesterday holds another.
    world.failed = plan(&settings, at("2026-11-23T06:30:00Z"), &world).history;
    world
        .failed
        .retain(|sale| sale.result == SaleResult::Failed);
    assert_eq!(world.failed.len(), 1);

    let history = plan(&settings, at("2026-11-23T07:30:00Z"), &world).history;
    let ids: Vec<_> = history
        .iter()
        .map(|sale| (&sale.id[10..], sale.result, sale.sold))
        .collect();
    let expected = [
        ("20261123T0700Z", SaleResult::Failed, 0),
        ("20261123T0500Z", SaleResult::Successful, 7),
        ("20261123T0400Z", SaleResult::Successful, 7),
    ];
    assert_eq!(ids, expected);
}

#[test]
fn a_warm_up_longer_than_the_interval_prepares_a_few_sales_ahead_and_no_more() {
    let settings = settings("schedule: '* * * * *'\nduration: 1m\napi: {warmUp: 1h}");
    let actions = plan(&settings, at("2026-11-23T08:00:30Z"), &observed(vec![])).actions;
    let seeds = actions
        .iter()
        .filter(|action| matches!(action, Action::Seed(_)))
        .count();
    assert_eq!(seeds, 1 + MAX_PREPARED, "the open one and the next ones");
}
