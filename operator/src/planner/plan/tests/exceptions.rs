//! What goes otherwise: missed starts, crashes, several sales at once.

use super::*;

#[test]
fn a_missed_start_is_made_good_inside_the_deadline_only() {
    let settings = settings("schedule: '0 * * * *'\nstartingDeadlineSeconds: 300");
    let earlier = || settled(&settings, "2026-11-23T06:00:00Z");
    let seeds = |now: &str| plan(&settings, at(now), &observed(vec![earlier()])).actions;

    let late = seeds("2026-11-23T08:05:00Z");
    let Some(Action::Seed(sale)) = late.first() else {
        panic!("{late:?}")
    };
    assert_eq!(
        sale.id.starts_label(),
        "20261123T0800Z",
        "only the latest, not that of 07:00"
    );
    assert_eq!(
        sale.window.ends_at,
        at("2026-11-23T09:00:00Z"),
        "a late sale ends on time"
    );

    let too_late = plan(
        &settings,
        at("2026-11-23T08:05:01Z"),
        &observed(vec![earlier()]),
    );
    assert!(
        !too_late
            .actions
            .iter()
            .any(|action| matches!(action, Action::Seed(_)))
    );
    assert_eq!(too_late.phase, Phase::Scheduled);
    let missed = &too_late.history[0];
    assert_eq!(
        (missed.id.as_str(), missed.result),
        ("shop.deal.20261123T0800Z", SaleResult::Failed)
    );
    assert!(missed.message.as_ref().unwrap().contains("missed"));
    assert_eq!(
        too_late.history.len(),
        2,
        "of all the missed starts the latest alone is noted"
    );
}

#[test]
fn without_a_deadline_a_missed_start_is_made_good_as_long_as_its_window_is_open() {
    let settings = settings(HOURLY);
    let seeds = |now: &str| {
        let plan = plan(&settings, at(now), &observed(vec![]));
        plan.actions
            .iter()
            .any(|action| matches!(action, Action::Seed(_)))
    };
    assert!(seeds("2026-11-23T08:29:59Z"));
    assert!(!seeds("2026-11-23T08:30:00Z"));
}

#[test]
fn a_start_before_the_resource_was_made_is_nobodys() {
    let mut settings = settings(HOURLY);
    settings.created_at = Some(at("2026-11-23T08:10:00Z"));
    let plan = plan(&settings, at("2026-11-23T08:11:00Z"), &observed(vec![]));
    assert_eq!((plan.phase, plan.history.len()), (Phase::Scheduled, 0));
    assert!(
        !plan
            .actions
            .iter()
            .any(|action| matches!(action, Action::Seed(_)))
    );
}

#[test]
fn a_seeding_that_was_cut_short_is_taken_up_again_where_it_was_left_or_noted_as_failed() {
    let before = settings("schedule: '0 * * * *'\nduration: 20m");
    let settings = settings("schedule: '0 * * * *'\nduration: 30m\nstartingDeadlineSeconds: 60");
    // In Postgres, with the window of the manifest that was there at that time; not in Redis.
    let half = || {
        observed(vec![ObservedSale {
            seeded_at: None,
            ..seeded(&before, "2026-11-23T08:00:00Z")
        }])
    };
    for now in ["2026-11-23T07:58:00Z", "2026-11-23T08:00:30Z"] {
        let plan = plan(&settings, at(now), &half());
        assert_eq!(seeds(&plan), ["20261123T0800Z"], "{now}");
        let next = plan.next.unwrap();
        assert_eq!(
            (next.seeded, next.window.ends_at),
            (false, at("2026-11-23T08:20:00Z")),
            "{now}: what is in Postgres is seeded to its end, and is not called seeded"
        );
        assert_eq!(plan.phase, Phase::WarmingUp, "{now}: and sells nothing");
        assert_eq!(plan.active, None);
    }
    let taken_up = log_between(
        &settings,
        "2026-11-23T08:00:30Z",
        "2026-11-23T08:20:01Z",
        &mut half(),
    );
    assert_eq!(
        taken_up,
        [
            "23 08:00:30 seed 20261123T0800Z",
            "23 08:00:30 is Selling",
            "23 08:20:00 close 20261123T0800Z",
            "23 08:20:00 settle 20261123T0800Z",
            "23 08:20:00 is CoolingDown",
        ]
    );

    let given_up = plan(&settings, at("2026-11-23T08:02:00Z"), &half());
    assert_eq!(seeds(&given_up), [""; 0]);
    let [failed] = &given_up.history[..] else {
        panic!("{:?}", given_up.history)
    };
    assert_eq!(
        (failed.result, failed.total),
        (SaleResult::Failed, Some(100))
    );
    let message = failed.message.as_deref().unwrap();
    assert!(
        message.contains("could not be prepared"),
        "it was not missed: {message}"
    );
}

#[test]
fn a_new_process_maintains_the_sales_that_it_finds() {
    let settings = settings("schedule: '0 * * * *'\nduration: 1h");
    let found = |start| seeded(&settings, start);

    // In the middle of a sale, and with the next one prepared.
    let world = observed(vec![
        found("2026-11-23T08:00:00Z"),
        found("2026-11-23T09:00:00Z"),
    ]);
    let labels: Vec<_> = plan(&settings, at("2026-11-23T08:58:00Z"), &world)
        .actions
        .into_iter()
        .filter_map(|action| match action {
            Action::Maintain(id) => Some(id.starts_label().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(
        labels,
        ["20261123T0800Z", "20261123T0900Z"],
        "what sells comes first"
    );

    // After the end, when nobody was there to close it.
    let world = observed(vec![found("2026-11-23T08:00:00Z")]);
    let plan = plan(&settings, at("2026-11-23T09:30:00Z"), &world);
    assert!(
        plan.actions
            .contains(&Action::Close(world.sales[0].sale.id.clone()))
    );
    assert_eq!(plan.phase, Phase::Settling);
}

#[test]
fn what_sells_comes_before_a_long_seeding_and_that_before_what_can_wait() {
    let settings =
        settings("schedule: '0 * * * *'\nduration: 1h\napi: {coolDown: 0s, warmUp: 1h5m}");
    let world = observed(vec![
        ObservedSale {
            closed_at: Some(at("2026-11-23T06:00:00Z")),
            settled_at: Some(at("2026-11-23T06:00:00Z")),
            ..seeded(&settings, "2026-11-23T05:00:00Z")
        },
        ObservedSale {
            closed_at: Some(at("2026-11-23T07:00:00Z")),
            ..seeded(&settings, "2026-11-23T06:00:00Z")
        },
        seeded(&settings, "2026-11-23T09:00:00Z"),
        seeded(&settings, "2026-11-23T09:30:00Z"),
        seeded(&settings, "2026-11-23T07:00:00Z"),
        seeded(&settings, "2026-11-23T08:00:00Z"),
    ]);
    let plan = plan(&settings, at("2026-11-23T08:57:00Z"), &world);
    let words: Vec<String> = plan.actions.iter().map(word).collect();
    assert_eq!(
        words,
        [
            "keep up 0800Z",
            "close 0700Z",
            "withdraw 0930Z",
            "keep up 0900Z",
            "seed 1000Z",
            "settle 0600Z",
            "retire 0500Z",
            "keep attempts",
        ]
    );
}

#[test]
fn what_was_given_up_half_seeded_is_deleted_from_redis_and_never_brought_back() {
    let strict = settings("schedule: '0 * * * *'\nduration: 30m\nstartingDeadlineSeconds: 60");
    let half = ObservedSale {
        seeded_at: None,
        ..seeded(&strict, "2026-11-23T08:00:00Z")
    };
    let mut world = observed(vec![half.clone()]);
    assert_eq!(
        plan(&strict, at("2026-11-23T08:00:30Z"), &world).next_change_at,
        Some(at("2026-11-23T08:01:00.000000001Z"))
    );
    let log = log_between(
        &strict,
        "2026-11-23T08:01:01Z",
        "2026-11-23T08:40:00Z",
        &mut world,
    );
    assert_eq!(
        log,
        [
            "23 08:01:01 retire 20261123T0800Z",
            "23 08:01:01 is Scheduled"
        ]
    );
    // Not even where the deadline is taken away in the middle of its window.
    let lenient = settings("schedule: '0 * * * *'\nduration: 30m");
    let plan_now = plan(&lenient, at("2026-11-23T08:10:00Z"), &world);
    assert_eq!(seeds(&plan_now), [""; 0]);
    assert_eq!(plan_now.history.len(), 1);

    // But a sale that has sold something was opened, whatever its row holds, and is maintained.
    let world = observed(vec![ObservedSale { sold: 1, ..half }]);
    let plan_now = plan(&strict, at("2026-11-23T08:10:00Z"), &world);
    assert_eq!(plan_now.phase, Phase::Selling);
    assert_eq!(word(&plan_now.actions[0]), "keep up 0800Z");
}

#[test]
fn a_single_start_that_is_over_has_a_time_and_a_reason() {
    let next =
        |lines: &str, now: &str, world: &Observed| plan(&settings(lines), at(now), world).next;
    let start = "startAt: 2026-11-23T08:00:00Z\nduration: 30m";
    let over = |since: &str, by_deadline| {
        Err(NoNext::Over {
            start: at("2026-11-23T08:00:00Z"),
            since: at(since),
            by_deadline,
        })
    };
    let nothing = observed(vec![]);
    assert!(
        next(start, "2026-11-23T08:29:59Z", &nothing).is_ok(),
        "it is made good"
    );
    assert_eq!(
        next(start, "2026-11-23T08:30:00Z", &nothing),
        over("2026-11-23T08:30:00Z", false)
    );
    let strict = format!("{start}\nstartingDeadlineSeconds: 60");
    assert_eq!(
        next(&strict, "2026-11-23T08:10:00Z", &nothing),
        over("2026-11-23T08:01:00.000000001Z", true)
    );
    let held = observed(vec![settled(&settings(start), "2026-11-23T08:00:00Z")]);
    assert!(matches!(
        next(start, "2026-11-23T08:40:00Z", &held),
        Err(NoNext::Held { .. })
    ));
    let moved = "startAt: 2026-11-23T08:20:00Z\nduration: 30m";
    assert!(matches!(
        next(moved, "2026-11-23T08:10:00Z", &held),
        Err(NoNext::Covered { .. })
    ));
    assert_eq!(
        next(
            &format!("{start}\nsuspend: true"),
            "2026-11-23T08:40:00Z",
            &nothing
        ),
        Err(NoNext::Suspended)
    );
}
