//! What a driver reports and when its next step is due, without backends: the observed state is
//! made up.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::crd::FlashSale;
use crate::planner::validate;

fn at(time: &str) -> Timestamp {
    format!("2026-11-23T{time}Z").parse().unwrap()
}

/// The settings of an hourly FlashSale with these lines of spec.
fn settings(more: &str) -> Settings {
    let manifest = format!(
        "{{apiVersion: flashsale.dev/v1alpha1, kind: FlashSale, metadata: {{name: hourly, \
         namespace: shop}}, spec: {{schedule: 0 * * * *, duration: 30m, {more} \
         catalog: {{generate: {{count: 100}}}}, redis: {{secretKeyRef: {{name: r, key: url}}}}, \
         postgres: {{secretKeyRef: {{name: p, key: url}}}}}}}}"
    );
    validate(&serde_yaml_ng::from_str::<FlashSale>(&manifest).unwrap()).unwrap()
}

fn driver(more: &str, status: FlashSaleStatus) -> Driver {
    Driver::new(settings(more), ResolvedCatalog::Generated(100), status)
}

/// A sale that was seeded for this start.
fn seeded(start: &str) -> SaleRecord {
    let settings = settings("");
    SaleRecord {
        sale: settings.sale(settings.window(at(start)), 100).unwrap(),
        seeded_at: Some(at("00:00:00")),
        closed_at: None,
        settled_at: None,
        retired_at: None,
        sold: 7,
    }
}

fn settled(start: &str) -> SaleRecord {
    let end = Some(seeded(start).sale.window.ends_at);
    SaleRecord {
        closed_at: end,
        settled_at: end,
        retired_at: end,
        ..seeded(start)
    }
}

/// The past sales that are reported after a step that observed these sales and had no actions.
fn reported(driver: &mut Driver, sales: Vec<SaleRecord>, now: &str) -> Vec<String> {
    driver.set_observed(sales, at(now));
    let plan = plan(&driver.settings, at(now), &driver.observed);
    let health = Health {
        observed: true,
        ..Health::default()
    };
    let changes = driver.update_status(&plan, &health, at(now)).into_iter();
    changes
        .filter(|change| ["Settled", "Failed"].contains(&change.reason))
        .map(|change| change.message.chars().take(26).collect())
        .collect()
}

#[test]
fn a_past_sale_is_reported_once_also_where_no_history_is_kept() {
    let mut driver = driver(
        "successfulSalesHistoryLimit: 0, failedSalesHistoryLimit: 0, startingDeadlineSeconds: 60,",
        FlashSaleStatus::default(),
    );
    let nothing = [""; 0];
    assert_eq!(
        reported(&mut driver, vec![seeded("08:00:00")], "08:10:00"),
        nothing
    );
    let over = || vec![settled("08:00:00")];
    let sale = "shop.hourly.20261123T0800Z";
    assert_eq!(reported(&mut driver, over(), "08:31:00"), [sale]);
    assert!(driver.status().history.is_empty());
    assert_eq!(reported(&mut driver, over(), "08:32:00"), nothing);
    // Nobody has opened that of 09:00.
    let missed = "shop.hourly.20261123T0900Z";
    assert_eq!(reported(&mut driver, over(), "09:02:00"), [missed]);
    assert_eq!(reported(&mut driver, over(), "09:03:00"), nothing);
}

#[test]
fn a_new_process_does_not_report_again_what_was_past_before_it() {
    let past = || (1..=8).map(|hour| settled(&format!("0{hour}:00:00")));
    let mut fresh = driver("", FlashSaleStatus::default());
    assert_eq!(reported(&mut fresh, past().collect(), "08:40:00"), [""; 0]);
    let status = fresh.status().clone();
    assert_eq!(status.history.len(), 8);

    // That of 09:00 was to come for the process before, and has been settled by a third one.
    assert_eq!(
        status.next_sale.as_ref().unwrap().id,
        "shop.hourly.20261123T0900Z"
    );
    let mut later = driver("", status);
    let sales = past().chain([settled("09:00:00")]).collect();
    assert_eq!(
        reported(&mut later, sales, "09:40:00"),
        ["shop.hourly.20261123T0900Z"]
    );
}

#[test]
fn before_its_first_observation_a_driver_keeps_the_status_and_retries_often_in_a_sale() {
    let mut first = driver("", FlashSaleStatus::default());
    reported(&mut first, vec![seeded("08:00:00")], "08:10:00");
    let left = first.status().clone();
    assert_eq!(left.phase, Phase::Selling);

    // 08:25: neither store answers, and the next sale is far.
    // In the plan of a driver without a status the start of 08:00 is missed.
    let mut second = driver("startingDeadlineSeconds: 60,", left.clone());
    let now = at("08:25:00");
    let plan = plan(&second.settings, now, &second.observed);
    assert!(!plan.in_progress);
    let changes = second.update_status(&plan, &Health::default(), now);
    assert_eq!(changes, [], "neither `Ended` nor anything else");
    assert_eq!(second.status().active_sale, left.active_sale);
    second.failures = 20;
    let next_at = second.next_at(&plan, &Progress::default(), now).unwrap();
    assert_eq!(next_at.duration_since(now), LAST_RETRY_IN_SALE);
}

#[test]
fn an_action_that_became_due_during_a_step_runs_at_once_and_a_tried_one_does_not_loop() {
    let mut driver = driver("", FlashSaleStatus::default());
    let cooling = SaleRecord {
        retired_at: None,
        ..settled("08:00:00")
    };
    driver.set_observed(vec![cooling], at("08:34:59.9"));
    driver.observed.partitions_maintained_at = Some(at("08:00:00"));
    let plan_at = |driver: &Driver, now: &str| plan(&driver.settings, at(now), &driver.observed);

    // Carried out before the cool-down was over, reported after it.
    let now = at("08:35:00.1");
    let plan = plan_at(&driver, "08:35:00.1");
    let [Action::Retire(_)] = &plan.actions[..] else {
        panic!("{:?}", plan.actions)
    };
    assert_eq!(driver.next_at(&plan, &Progress::default(), now), Some(now));

    let tried = Progress {
        tried: plan.actions.clone(),
        ..Progress::default()
    };
    assert_eq!(driver.next_at(&plan, &tried, now), Some(at("08:57:00")));
    driver.failures = 1;
    let retry = driver.next_at(&plan, &Progress::default(), now);
    assert_eq!(
        retry,
        Some(now + FIRST_RETRY),
        "a failure waits in any case"
    );
}

#[test]
fn a_sale_that_is_still_open_by_the_clock_of_redis_is_closed_later() {
    let mut driver = driver("", FlashSaleStatus::default());
    driver.set_observed(vec![seeded("08:00:00")], at("08:30:00"));
    let now = at("08:30:00");
    let plan = plan(&driver.settings, now, &driver.observed);
    let progress = Progress {
        tried: plan.actions.clone(),
        close_at: Some(at("08:30:00.04")),
        ..Progress::default()
    };
    assert_eq!(
        driver.next_at(&plan, &progress, now),
        Some(at("08:30:00.04"))
    );
}
