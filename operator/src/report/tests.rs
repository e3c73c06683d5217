#![allow(clippy::unwrap_used, clippy::expect_used)]

use flashsale_engine::StoreError;
use jiff::SignedDuration;

use super::*;
use crate::api::FlashSale;
use crate::plan::{KnownSale, plan};
use crate::settings::validate;

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
fn open_sale(sold: u32) -> KnownSale {
    let sale = settings()
        .sale(settings().window(at("08:00:00")), 100)
        .unwrap();
    let seeded_at = Some(at("07:57:00"));
    KnownSale {
        sale,
        seeded_at,
        closed_at: None,
        settled_at: None,
        sold,
        gone: false,
    }
}

fn status_of(
    sales: Vec<KnownSale>,
    problem: Option<&Problem>,
    before: &FlashSaleStatus,
    now: Timestamp,
) -> FlashSaleStatus {
    let observed = Observed {
        sales,
        ..Observed::default()
    };
    let plan = plan(&settings(), now, &observed);
    status(&settings(), &plan, &observed, problem, before, now)
}

fn condition<'a>(status: &'a FlashSaleStatus, type_: &str) -> &'a Condition {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_)
        .expect("the condition")
}

fn reasons(before: &FlashSaleStatus, after: &FlashSaleStatus) -> Vec<&'static str> {
    changes(before, after)
        .into_iter()
        .map(|change| change.reason)
        .collect()
}

fn redis_is_away() -> Problem {
    let (what, after) = ("seed", std::time::Duration::from_secs(2));
    Problem::Store(StoreError::TimedOut {
        store: "Redis",
        what,
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
    assert_eq!(changes(&first, &second), []);
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
    let told = changes(&open, &sold_out);
    assert_eq!(told.len(), 1);
    assert!(
        told[0]
            .message
            .contains("all 100 items are sold, 3m 12s after the start"),
        "{}",
        told[0].message
    );
    assert_eq!(condition(&sold_out, "Selling").reason, "SoldOut");
    let later = status_of(vec![open_sale(100)], None, &sold_out, at("08:20:00"));
    assert_eq!(changes(&sold_out, &later), [], "it is told once");

    let settled_at = Some(at("08:30:01"));
    let over = KnownSale {
        closed_at: settled_at,
        settled_at,
        ..open_sale(100)
    };
    let settled = status_of(vec![over], None, &later, at("08:30:02"));
    assert_eq!(reasons(&later, &settled), ["Ended", "Settled"]);
    assert_eq!(settled.history[0].sold, 100);
    assert_eq!(settled.active_sale, None);
}

#[test]
fn a_store_that_is_away_is_told_once_and_its_return_too() {
    let well = status_of(
        vec![open_sale(3)],
        None,
        &FlashSaleStatus::default(),
        at("08:10:00"),
    );
    let away = status_of(
        vec![open_sale(3)],
        Some(&redis_is_away()),
        &well,
        at("08:10:10"),
    );
    let told = changes(&well, &away);
    assert_eq!(
        (told.len(), told[0].reason, told[0].warning),
        (1, "NotReady", true)
    );
    assert!(told[0].message.contains("Redis"), "{}", told[0].message);
    assert_eq!(condition(&away, "RedisReady").status, "False");
    assert_eq!(condition(&away, "DatabaseReady").status, "Unknown");
    assert_eq!(away.phase, Phase::Selling, "the sale goes on by the clock");

    let still = status_of(
        vec![open_sale(3)],
        Some(&redis_is_away()),
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
fn an_invalid_resource_keeps_what_was_and_says_every_fault() {
    let well = status_of(
        vec![open_sale(3)],
        None,
        &FlashSaleStatus::default(),
        at("08:10:00"),
    );
    let error = |path: &str| FieldError {
        path: path.into(),
        found: "x".into(),
        expected: "y".into(),
    };
    let invalid = invalid(
        &[error("spec.a"), error("spec.b")],
        Some(8),
        &well,
        at("08:11:00"),
    );
    assert_eq!(invalid.phase, Phase::Invalid);
    assert_eq!(invalid.active_sale, well.active_sale);
    assert_eq!(
        condition(&invalid, "Ready").message,
        "spec.a: found x; expected y; spec.b: found x; expected y"
    );
}
