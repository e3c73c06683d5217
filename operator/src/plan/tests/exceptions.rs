//! What goes otherwise: missed starts, crashes, suspension, a schedule that moves.

use super::*;

#[test]
fn a_missed_start_is_made_good_inside_the_deadline_only() {
    let settings = settings("schedule: '0 * * * *'\nstartingDeadlineSeconds: 300");
    let earlier = || settled(&settings, "2026-11-23T06:00:00Z");
    let seeds = |now: &str| plan(&settings, at(now), &known(vec![earlier()])).actions;

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
        &known(vec![earlier()]),
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
        let plan = plan(&settings, at(now), &known(vec![]));
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
    let plan = plan(&settings, at("2026-11-23T08:11:00Z"), &known(vec![]));
    assert_eq!((plan.phase, plan.history.len()), (Phase::Scheduled, 0));
    assert!(
        !plan
            .actions
            .iter()
            .any(|action| matches!(action, Action::Seed(_)))
    );
}

#[test]
fn a_seeding_that_was_cut_short_is_taken_up_again_or_noted_as_failed() {
    let settings = settings("schedule: '0 * * * *'\nduration: 30m\nstartingDeadlineSeconds: 60");
    let half = KnownSale {
        seeded_at: None,
        ..seeded(&settings, "2026-11-23T08:00:00Z")
    };
    let world = known(vec![half]);
    for now in ["2026-11-23T07:58:00Z", "2026-11-23T08:00:30Z"] {
        let plan = plan(&settings, at(now), &world);
        assert!(
            matches!(plan.actions.first(), Some(Action::Seed(sale)) if !sale.seeded),
            "{now}"
        );
        assert_eq!(
            plan.phase,
            Phase::WarmingUp,
            "nothing sells before the catalogue is complete"
        );
    }
    let given_up = plan(&settings, at("2026-11-23T08:02:00Z"), &world);
    assert!(
        !given_up
            .actions
            .iter()
            .any(|action| matches!(action, Action::Seed(_)))
    );
    assert_eq!(given_up.history.len(), 1);
    assert_eq!(given_up.history[0].result, SaleResult::Failed);
}

#[test]
fn suspending_lets_a_started_sale_go_on_and_withdraws_one_that_has_not_started() {
    let settings = settings("schedule: '0 * * * *'\nduration: 1h\nsuspend: true");
    let mut world = known(vec![
        seeded(&settings, "2026-11-23T08:00:00Z"),
        seeded(&settings, "2026-11-23T09:00:00Z"),
    ]);
    let story = story(
        &settings,
        "2026-11-23T08:58:00Z",
        "2026-11-23T13:00:00Z",
        &mut world,
    );
    assert_eq!(
        story,
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
fn starts_while_suspended_are_not_missed_and_the_latest_is_opened_on_resuming_inside_the_deadline()
{
    let suspended = settings("schedule: '0 * * * *'\nsuspend: true\nstartingDeadlineSeconds: 300");
    let resumed = settings("schedule: '0 * * * *'\nstartingDeadlineSeconds: 300");
    let world = known(vec![settled(&resumed, "2026-11-23T06:00:00Z")]);

    let now = at("2026-11-23T08:04:00Z");
    assert_eq!(plan(&suspended, now, &world).history.len(), 1);
    assert!(matches!(
        plan(&resumed, now, &world).actions.first(),
        Some(Action::Seed(_))
    ));
}

#[test]
fn when_the_schedule_moves_a_prepared_sale_is_withdrawn_and_an_open_one_goes_on() {
    let before = settings("schedule: '0 * * * *'\nduration: 1h");
    let after = settings("schedule: '30 * * * *'\nduration: 1h\nstartingDeadlineSeconds: 60");

    let prepared = known(vec![seeded(&before, "2026-11-23T08:00:00Z")]);
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
    let mut world = known(vec![seeded(&before, "2026-11-23T08:00:00Z")]);
    let story = story(
        &after,
        "2026-11-23T08:10:00Z",
        "2026-11-23T09:31:00Z",
        &mut world,
    );
    let seeds: Vec<_> = story.iter().filter(|line| line.contains("seed")).collect();
    assert_eq!(seeds, ["23 09:27:00 seed 20261123T0930Z"]);
}

#[test]
fn a_new_process_looks_after_what_it_finds_without_being_told() {
    let settings = settings("schedule: '0 * * * *'\nduration: 1h");
    let found = |start| seeded(&settings, start);

    // In the middle of a sale, and with the next one prepared.
    let world = known(vec![
        found("2026-11-23T08:00:00Z"),
        found("2026-11-23T09:00:00Z"),
    ]);
    let labels: Vec<_> = plan(&settings, at("2026-11-23T08:58:00Z"), &world)
        .actions
        .into_iter()
        .filter_map(|action| match action {
            Action::KeepUp(id) => Some(id.starts_label().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(labels, ["20261123T0900Z", "20261123T0800Z"]);

    // After the end, when nobody was there to close it.
    let world = known(vec![found("2026-11-23T08:00:00Z")]);
    let plan = plan(&settings, at("2026-11-23T09:30:00Z"), &world);
    assert!(
        plan.actions
            .contains(&Action::Close(world.sales[0].sale.id.clone()))
    );
    assert_eq!(plan.phase, Phase::Settling);
}
