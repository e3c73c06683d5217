//! A manifest that changes while sales are there.

use super::*;

#[test]
fn suspending_keeps_a_started_sale_and_withdraws_one_that_has_not_started() {
    let settings = settings("schedule: '0 * * * *'\nduration: 1h\nsuspend: true");
    let mut world = observed(vec![
        seeded(&settings, "2026-11-23T08:00:00Z"),
        seeded(&settings, "2026-11-23T09:00:00Z"),
    ]);
    let log = log_between(
        &settings,
        "2026-11-23T08:58:00Z",
        "2026-11-23T13:00:00Z",
        &mut world,
    );
    assert_eq!(
        log,
        [
            "23 08:58:00 withdraw 20261123T0900Z",
            "23 08:58:00 is Selling",
            "23 09:00:00 close 20261123T0800Z",
            "23 09:00:00 settle 20261123T0800Z",
            "23 09:00:00 is CoolingDown",
            "23 09:05:00 retire 20261123T0800Z",
            "23 09:05:00 is Suspended",
        ]
    );
}

#[test]
fn a_start_while_suspended_is_not_missed_and_on_resuming_inside_the_deadline_it_is_opened() {
    let suspended = settings("schedule: '0 * * * *'\nsuspend: true\nstartingDeadlineSeconds: 300");
    let resumed = settings("schedule: '0 * * * *'\nstartingDeadlineSeconds: 300");
    let world = observed(vec![settled(&resumed, "2026-11-23T06:00:00Z")]);
    let resumed_at = |time: &str| Observed {
        resumed_at: Some(at(time)),
        ..world.clone()
    };
    let failed = |now: &str, world: &Observed| {
        let history = plan(&resumed, at(now), world).history.into_iter();
        let failed = history.filter(|sale| sale.result == SaleResult::Failed);
        failed
            .map(|sale| sale.id[10..].to_owned())
            .collect::<Vec<_>>()
    };

    // Suspended since before 08:00.
    let now = at("2026-11-23T08:04:00Z");
    assert_eq!(plan(&suspended, now, &world).history.len(), 1);
    let in_time = plan(&resumed, now, &resumed_at("2026-11-23T08:04:00Z"));
    assert!(
        matches!(in_time.actions.first(), Some(Action::Seed(sale)) if sale.id.starts_label() == "20261123T0800Z")
    );

    // Resumed too late for 08:00: nothing was missed, then or later.
    let world = resumed_at("2026-11-23T08:30:00Z");
    assert_eq!(
        plan(&resumed, at("2026-11-23T08:30:00Z"), &world)
            .actions
            .len(),
        1
    );
    for now in ["2026-11-23T08:30:00Z", "2026-11-23T08:59:59Z"] {
        assert_eq!(failed(now, &world), [""; 0], "{now}");
    }
    // But the next one is, if nobody opens it.
    assert_eq!(failed("2026-11-23T09:10:00Z", &world), ["20261123T0900Z"]);
    // And without a suspension it would have been that of 08:00.
    let never = Observed {
        resumed_at: None,
        ..world
    };
    assert_eq!(failed("2026-11-23T08:30:00Z", &never), ["20261123T0800Z"]);
}

#[test]
fn when_the_schedule_moves_a_prepared_sale_is_withdrawn_and_an_open_one_goes_on() {
    let before = settings("schedule: '0 * * * *'\nduration: 1h");
    let after = settings("schedule: '30 * * * *'\nduration: 1h\nstartingDeadlineSeconds: 60");

    let prepared = observed(vec![seeded(&before, "2026-11-23T08:00:00Z")]);
    let moved = plan(&after, at("2026-11-23T07:58:00Z"), &prepared);
    assert!(
        moved
            .actions
            .iter()
            .any(|action| matches!(action, Action::Withdraw(_)))
    );
    assert_eq!(
        moved.next.unwrap().window.starts_at,
        at("2026-11-23T08:30:00Z")
    );

    // 08:30 lies inside the open sale: it opens nothing, neither then nor late.
    let mut world = observed(vec![seeded(&before, "2026-11-23T08:00:00Z")]);
    let log = log_between(
        &after,
        "2026-11-23T08:10:00Z",
        "2026-11-23T09:31:00Z",
        &mut world,
    );
    let seeds: Vec<_> = log.iter().filter(|line| line.contains("seed")).collect();
    assert_eq!(seeds, ["23 09:27:00 seed 20261123T0930Z"]);
}

#[test]
fn a_denser_schedule_leaves_alone_what_is_prepared_and_opens_nothing_inside_it() {
    let before = settings("schedule: '0 * * * *'\nduration: 1h");
    // The warm-up is long enough for 09:30 to be prepared before 09:00 opens.
    let after = settings(
        "schedule: '*/30 * * * *'\nduration: 30m\nstartingDeadlineSeconds: 60\napi: {warmUp: 50m}",
    );
    let mut world = observed(vec![seeded(&before, "2026-11-23T09:00:00Z")]);
    let log = log_between(
        &after,
        "2026-11-23T08:58:00Z",
        "2026-11-23T09:15:00Z",
        &mut world,
    );
    assert_eq!(
        log,
        [
            "23 08:58:00 is WarmingUp",
            "23 09:00:00 is Selling",
            "23 09:10:00 seed 20261123T1000Z",
        ]
    );
}

#[test]
fn a_late_sale_of_an_older_schedule_covers_the_starts_inside_its_window() {
    // Half seeded by the hourly schedule; its window stays, whatever the schedule is now.
    let before = settings("schedule: '0 * * * *'\nduration: 1h");
    let after = settings("schedule: '*/30 * * * *'\nduration: 30m");
    let half = ObservedSale {
        seeded_at: None,
        ..seeded(&before, "2026-11-23T08:00:00Z")
    };
    let plan = plan(&after, at("2026-11-23T08:28:00Z"), &observed(vec![half]));
    assert_eq!(
        seeds(&plan),
        ["20261123T0800Z"],
        "and not 08:30, which would be withdrawn"
    );
}

#[test]
fn a_start_moved_by_seconds_shares_the_id_of_the_sale_that_it_moves() {
    // Ids hold the start to the minute.
    let before = settings("startAt: 2026-11-23T08:00:15Z\nduration: 20s");
    let after = settings("startAt: 2026-11-23T08:00:45Z\nduration: 20s");
    let prepared = || observed(vec![seeded(&before, "2026-11-23T08:00:15Z")]);
    let next = plan(&after, at("2026-11-23T07:59:00Z"), &prepared()).next;
    let next = next.unwrap();
    assert_eq!(
        (next.window.starts_at, next.seeded),
        (at("2026-11-23T08:00:45Z"), false)
    );
    let mut world = prepared();
    let log = log_between(
        &after,
        "2026-11-23T07:59:00Z",
        "2026-11-23T08:00:46Z",
        &mut world,
    );
    assert_eq!(
        log,
        [
            "23 07:59:00 withdraw 20261123T0800Z",
            "23 07:59:00 seed 20261123T0800Z",
            "23 07:59:00 is WarmingUp",
            "23 08:00:45 is Selling",
        ]
    );
    // Once it has started there is no second one with its id.
    let log = log_between(
        &after,
        "2026-11-23T08:00:20Z",
        "2026-11-23T08:02:00Z",
        &mut prepared(),
    );
    assert_eq!(log[0], "23 08:00:20 is Selling");
    assert!(!log.iter().any(|line| line.contains("seed")), "{log:?}");
}

#[test]
fn behind_a_long_sale_the_next_start_is_found_however_many_lie_inside_it() {
    let before = settings("schedule: '0 0 1 * *'\nduration: 672h");
    let after = settings("schedule: '* * * * *'\nduration: 1m");
    let world = observed(vec![seeded(&before, "2026-11-01T00:00:00Z")]);
    let plan = plan(&after, at("2026-11-01T00:10:00Z"), &world);
    assert_eq!(
        plan.next.unwrap().window.starts_at,
        at("2026-11-29T00:00:00Z")
    );
}
