#![allow(clippy::unwrap_used, clippy::expect_used)]

mod api_pods;
mod handed_on;

use flashsale_engine::redis::eviction_policy::Eviction;
use flashsale_engine::{BackendError, FlashSaleName};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::*;
use crate::backends::ActionError;
use crate::crd::{FlashSale, FlashSaleStatus, PastSale, Phase, SaleResult};
use crate::planner::{FieldError, Observed, ObservedSale, Settings, plan, validate};

fn at(time: &str) -> Timestamp {
    format!("2026-11-23T{time}Z").parse().unwrap()
}

fn settings() -> Settings {
    let manifest = "
apiVersion: flashsale.dev/v1alpha1
kind: FlashSale
metadata: {name: hourly, namespace: shop, generation: 7}
spec:
  schedule: 0 * * * *
  duration: 30m
  catalog: {generate: {count: 100}}
  redis: {secretKeyRef: {name: r, key: url}}
  postgres: {secretKeyRef: {name: p, key: url}}
";
    validate(&serde_yaml_ng::from_str::<FlashSale>(manifest).unwrap()).unwrap()
}

/// The sale of 08:00, with so many items sold.
fn open_sale(sold: u32) -> ObservedSale {
    let sale = settings()
        .sale(settings().window(at("08:00:00")), 100)
        .unwrap();
    let seeded_at = Some(at("07:57:00"));
    ObservedSale {
        sale,
        seeded_at,
        closed_at: None,
        settled_at: None,
        sold,
        retired_at: None,
    }
}

fn status_of(
    sales: Vec<ObservedSale>,
    error: Option<ActionError>,
    before: &FlashSaleStatus,
    now: Timestamp,
) -> FlashSaleStatus {
    status_with(&settings(), sales, well_but(error), before, now)
}

fn status_with(
    settings: &Settings,
    sales: Vec<ObservedSale>,
    health: Health,
    before: &FlashSaleStatus,
    now: Timestamp,
) -> FlashSaleStatus {
    let observed = Observed {
        sales,
        resumed_at: resumed_at(&before.conditions, now),
        ..Observed::default()
    };
    let plan = plan(settings, now, &observed);
    status(settings, &plan, &observed, &health, before, now)
}

fn well_but(error: Option<ActionError>) -> Health {
    Health {
        observed: true,
        error,
        eviction: Eviction::Off,
    }
}

fn condition<'a>(status: &'a FlashSaleStatus, type_: &str) -> &'a Condition {
    conditions::find(&status.conditions, type_).expect("the condition")
}

fn reasons(before: &FlashSaleStatus, after: &FlashSaleStatus) -> Vec<&'static str> {
    changes(before, after, &[])
        .into_iter()
        .map(|change| change.reason)
        .collect()
}

fn redis_is_away() -> ActionError {
    let (what, after) = ("seed", std::time::Duration::from_secs(2));
    ActionError::Backend(BackendError::TimedOut {
        backend: "Redis",
        operation: what,
        after,
    })
}

#[test]
fn a_status_in_which_nothing_has_changed_is_equal_to_the_one_before() {
    let first = status_of(
        vec![open_sale(3)],
        None,
        &FlashSaleStatus::default(),
        at("08:10:00"),
    );
    let second = status_of(vec![open_sale(3)], None, &first, at("08:10:05"));
    assert_eq!(first, second);
    assert_eq!(changes(&first, &second, &[]), []);
    assert_eq!(first.observed_generation, Some(7));
}

#[test]
fn the_status_tells_the_life_of_a_sale() {
    let before = FlashSaleStatus::default();
    let ahead = status_of(vec![], None, &before, at("07:40:00"));
    assert_eq!(reasons(&before, &ahead), ["Scheduled"]);
    assert_eq!(condition(&ahead, "Seeded").status, "False");

    let prepared = status_of(vec![open_sale(0)], None, &ahead, at("07:58:00"));
    assert_eq!(reasons(&ahead, &prepared), ["Seeded"]);
    assert_eq!(condition(&prepared, "Seeded").status, "True");

    let open = status_of(vec![open_sale(37)], None, &prepared, at("08:00:00"));
    assert_eq!(
        reasons(&prepared, &open),
        ["Scheduled", "Opened"],
        "the next one is scheduled"
    );
    assert_eq!(open.active_sale.as_ref().unwrap().sold_of_total, "37/100");
    assert_eq!(condition(&open, "Selling").status, "True");

    let sold_out = status_of(vec![open_sale(100)], None, &open, at("08:03:12"));
    let found = changes(&open, &sold_out, &[]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0]
            .message
            .contains("all 100 items are sold, 3m 12s after the start"),
        "{}",
        found[0].message
    );
    assert_eq!(condition(&sold_out, "Selling").reason, "SoldOut");
    let later = status_of(vec![open_sale(100)], None, &sold_out, at("08:20:00"));
    assert_eq!(changes(&sold_out, &later, &[]), [], "it is reported once");

    let settled_at = Some(at("08:30:01"));
    let over = ObservedSale {
        closed_at: settled_at,
        settled_at,
        ..open_sale(100)
    };
    let settled = status_of(vec![over], None, &later, at("08:30:02"));
    let found = changes(&later, &settled, &[&settled.history[0]]);
    let words: Vec<_> = found.iter().map(|change| change.reason).collect();
    assert_eq!(words, ["Ended", "Settled"]);
    assert!(
        found[1]
            .message
            .ends_with("100 of 100 items are sold and settled")
    );
    assert_eq!(settled.history[0].sold, 100);
    assert_eq!(settled.active_sale, None);
}

#[test]
fn a_backend_that_is_away_is_reported_once_and_its_return_too() {
    let well = status_of(
        vec![open_sale(3)],
        None,
        &FlashSaleStatus::default(),
        at("08:10:00"),
    );
    let away = status_of(
        vec![open_sale(3)],
        Some(redis_is_away()),
        &well,
        at("08:10:10"),
    );
    let found = changes(&well, &away, &[]);
    assert_eq!(
        (found.len(), found[0].reason, found[0].warning),
        (1, "NotReady", true)
    );
    assert!(found[0].message.contains("Redis"), "{}", found[0].message);
    assert_eq!(condition(&away, "RedisReady").status, "False");
    let ready = condition(&away, "Ready");
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "RedisUnreachable")
    );
    assert_eq!(
        condition(&away, "DatabaseReady").status,
        "True",
        "it was observed"
    );
    assert_eq!(away.phase, Phase::Selling, "the sale goes on by the clock");

    let still = status_of(
        vec![open_sale(3)],
        Some(redis_is_away()),
        &away,
        at("08:10:20"),
    );
    assert_eq!(away, still);
    let back = status_of(vec![open_sale(3)], None, &still, at("08:10:30"));
    assert_eq!(reasons(&still, &back), ["Ready"]);
    let turned = condition(&back, "Ready").last_transition_time.0;
    assert_eq!(
        turned.duration_since(at("08:10:00")),
        SignedDuration::from_secs(30)
    );
}

#[test]
fn an_error_of_the_other_backend_is_reported_too() {
    let away = status_of(
        vec![open_sale(3)],
        Some(redis_is_away()),
        &FlashSaleStatus::default(),
        at("08:10:20"),
    );
    let (what, after) = ("read_sales", std::time::Duration::from_secs(3));
    let postgres = ActionError::Backend(BackendError::TimedOut {
        backend: "Postgres",
        operation: what,
        after,
    });
    let health = Health {
        observed: false,
        error: Some(postgres),
        eviction: Eviction::Off,
    };
    let other = status_with(
        &settings(),
        vec![open_sale(3)],
        health,
        &away,
        at("08:10:25"),
    );
    assert_eq!(
        reasons(&away, &other),
        ["NotReady"],
        "now it is the other one"
    );
    assert_eq!(condition(&other, "DatabaseReady").status, "False");
    assert_eq!(condition(&other, "RedisReady").status, "Unknown");

    let back = status_of(vec![open_sale(3)], None, &other, at("08:10:30"));
    assert_eq!(reasons(&other, &back), ["Ready"]);
}

#[test]
fn a_redis_that_would_evict_keys_is_a_fault_and_the_sale_goes_on() {
    let unfit = || Health {
        eviction: Eviction::Fault("a Redis master has maxmemory-policy allkeys-lru".into()),
        ..well_but(None)
    };
    let before = status_of(
        vec![open_sale(3)],
        None,
        &FlashSaleStatus::default(),
        at("08:10:00"),
    );
    let now = status_with(
        &settings(),
        vec![open_sale(3)],
        unfit(),
        &before,
        at("08:10:10"),
    );
    for type_ in ["Ready", "RedisReady"] {
        let condition = condition(&now, type_);
        assert_eq!(
            (condition.status.as_str(), condition.reason.as_str()),
            ("False", "EvictionPolicy"),
            "{type_}"
        );
        assert!(condition.message.contains("allkeys-lru"));
    }
    assert_eq!(condition(&now, "DatabaseReady").status, "True");
    assert_eq!(condition(&now, "Selling").status, "True");
    assert_eq!(reasons(&before, &now), ["NotReady"]);
}

/// The settings of a FlashSale with one start.
fn once(start: &str, more: &str) -> Settings {
    let manifest = format!(
        "{{apiVersion: flashsale.dev/v1alpha1, kind: FlashSale, metadata: {{name: hourly, \
             namespace: shop}}, spec: {{startAt: '2026-11-23T{start}Z', duration: 30m, {more} \
             catalog: {{generate: {{count: 100}}}}, redis: {{secretKeyRef: {{name: r, key: url}}}}, \
             postgres: {{secretKeyRef: {{name: p, key: url}}}}}}}}"
    );
    validate(&serde_yaml_ng::from_str::<FlashSale>(&manifest).unwrap()).unwrap()
}

#[test]
fn a_start_that_is_over_is_reported_with_what_to_change() {
    let nothing = FlashSaleStatus::default();
    let finished = |settings: &Settings, sales, now: &str| {
        let status = status_with(settings, sales, well_but(None), &nothing, at(now));
        assert_eq!(status.phase, Phase::Finished);
        let again = status_with(settings, vec![], well_but(None), &status, at("23:00:00"));
        let found = changes(&nothing, &status, &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].reason, "Finished");
        (
            found[0].clone(),
            condition(&status, "Ready").clone(),
            again,
            status,
        )
    };

    let (line, ready, again, status) = finished(&once("08:00:00", ""), vec![], "09:00:00");
    assert!(line.warning);
    assert_eq!(
        line.message,
        "there is no sale to come: startAt 2026-11-23T08:00:00Z is over since \
         2026-11-23T08:30:00Z, when its window ended, and no sale was held; set a startAt that is \
         to come"
    );
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str(), &ready.message),
        ("False", "StartIsOver", &line.message)
    );
    assert_eq!(changes(&status, &again, &[]), [], "it is reported once");

    let strict = once("08:00:00", "startingDeadlineSeconds: 60,");
    let (line, ..) = finished(&strict, vec![], "08:02:00");
    assert!(
        line.message
            .contains("since 2026-11-23T08:01:00Z, when startingDeadlineSeconds had passed"),
        "{}",
        line.message
    );

    let over = ObservedSale {
        closed_at: Some(at("08:30:00")),
        settled_at: Some(at("08:30:01")),
        retired_at: Some(at("08:35:00")),
        ..open_sale(3)
    };
    let (line, ready, ..) = finished(&once("08:00:00", ""), vec![over], "09:00:00");
    assert!(!line.warning, "it was held");
    assert_eq!(ready.status, "True");
    assert!(
        line.message.ends_with("set a new startAt for another"),
        "{}",
        line.message
    );
}

#[test]
fn a_start_inside_the_window_of_an_open_sale_is_not_ready() {
    let nothing = FlashSaleStatus::default();
    // Moved into the window of the sale that is open already.
    let moved = once("08:10:00", "");
    let open = status_with(
        &moved,
        vec![open_sale(3)],
        well_but(None),
        &nothing,
        at("08:05:00"),
    );
    assert_eq!(open.phase, Phase::Selling);
    assert_eq!(condition(&open, "Ready").reason, "StartIsCovered");
    assert_eq!(reasons(&nothing, &open), ["NotReady", "Opened"]);
}
