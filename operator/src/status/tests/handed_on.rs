//! What one process leaves to the next one in the status.

use super::*;

#[test]
fn before_the_first_observation_the_status_of_the_sales_stays() {
    let over = PastSale {
        id: "shop.hourly.20261123T0700Z".into(),
        started_at: Time(at("07:00:00")),
        ended_at: Time(at("07:30:00")),
        result: SaleResult::Successful,
        total: Some(100),
        sold: 100,
        message: None,
    };
    let mut left = status_of(
        vec![open_sale(3)],
        None,
        &FlashSaleStatus::default(),
        at("08:10:00"),
    );
    left.history.push(over);
    let health = Health {
        observed: false,
        ..well_but(Some(redis_is_away()))
    };
    let now = before_first_observation(&settings(), &health, &left, at("08:12:00"));
    assert_eq!(reasons(&left, &now), ["NotReady"], "and not `Ended`");
    assert_eq!(now.phase, Phase::Selling);
    assert_eq!(
        (&now.active_sale, &now.next_sale, &now.history),
        (&left.active_sale, &left.next_sale, &left.history)
    );
    assert_eq!(condition(&now, "Selling"), condition(&left, "Selling"));
    assert_eq!(condition(&now, "DatabaseReady").status, "Unknown");

    let nothing = FlashSaleStatus::default();
    let first = before_first_observation(&settings(), &health, &nothing, at("08:12:00"));
    assert_eq!(first.phase, Phase::Pending);
    assert_eq!(condition(&first, "Selling").status, "Unknown");
}

#[test]
fn the_end_of_a_suspension_is_kept_as_long_as_it_matters() {
    let mut suspended = settings();
    suspended.suspend = true;
    let of = |settings: &Settings, before: &FlashSaleStatus, now: &str| {
        status_with(settings, vec![], well_but(None), before, at(now))
    };
    let resumption = |status: &FlashSaleStatus, now: &str| resumed_at(&status.conditions, at(now));

    let never = of(&settings(), &FlashSaleStatus::default(), "07:00:00");
    assert_eq!(
        resumption(&never, "07:10:00"),
        None,
        "nobody has suspended it"
    );
    let held_back = of(&suspended, &never, "07:20:00");
    assert_eq!(
        resumption(&held_back, "08:30:00"),
        Some(at("08:30:00")),
        "it may end now"
    );
    let resumed = of(&settings(), &held_back, "08:30:00");
    let later = of(&settings(), &resumed, "10:00:00");
    assert_eq!(resumption(&later, "10:01:00"), Some(at("08:30:00")));

    let error = FieldError {
        path: "spec.a".into(),
        found: "x".into(),
        expected: "y".into(),
    };
    let invalid = refused(
        Refusal::Invalid,
        &[error],
        None,
        &later,
        &later,
        at("10:02:00"),
    );
    assert_eq!(resumption(&invalid, "10:03:00"), Some(at("08:30:00")));
}

#[test]
fn a_status_of_another_flash_sale_is_not_taken_over() {
    let ours = FlashSaleName::new("shop", "hourly").unwrap();
    let status = status_of(
        vec![open_sale(3)],
        None,
        &FlashSaleStatus::default(),
        at("08:10:00"),
    );
    assert_eq!(of_flash_sale(status.clone(), &ours), status);
    for (namespace, name) in [("shop", "hourl"), ("shop", "hourly.b"), ("sho", "hourly")] {
        let other = FlashSaleName::new(namespace, name).unwrap();
        assert_eq!(
            of_flash_sale(status.clone(), &other),
            FlashSaleStatus::default(),
            "{other}"
        );
    }
}

#[test]
fn an_invalid_resource_keeps_its_sales_and_lists_every_fault() {
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
    let invalid = refused(
        Refusal::Invalid,
        &[error("spec.a"), error("spec.b")],
        Some(8),
        &well,
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
