//! The API pods in the status.

use super::*;

fn pods(ready: i32, desired: i32) -> ApiPods {
    ApiPods {
        desired,
        total: desired,
        ready,
        error: None,
        selector: "app=shop".to_owned(),
    }
}

fn api_available(status: &FlashSaleStatus) -> &Condition {
    let mut conditions = status.conditions.iter();
    conditions.find(|c| c.type_ == "ApiAvailable").unwrap()
}

#[test]
fn pods_are_counted_and_the_time_of_the_condition_moves_only_when_it_turns() {
    let none = FlashSaleStatus::default();
    let sales = |now| status_of(vec![open_sale(0)], None, &none, at(now));
    let (first, _) = with_api_pods(sales("07:58:00"), &none, &pods(2, 6), at("07:58:00"));
    assert_eq!(first.replicas, Some(6));
    assert_eq!(first.selector.as_deref(), Some("app=shop"));
    assert_eq!(api_available(&first).status, "False");
    assert_eq!(api_available(&first).reason, "PodsNotReady");
    assert_eq!(api_available(&first).message, "2 of 6 API pods are ready");
    assert_eq!(api_available(&first).observed_generation, Some(7));

    let (second, _) = with_api_pods(sales("07:58:10"), &first, &pods(5, 6), at("07:58:10"));
    let (third, _) = with_api_pods(sales("07:58:20"), &second, &pods(6, 6), at("07:58:20"));
    let times = [&first, &second, &third].map(|s| api_available(s).last_transition_time.0);
    assert_eq!(
        times,
        [at("07:58:00"), at("07:58:00"), at("07:58:20")],
        "it turned once"
    );
    let (same, changes) = with_api_pods(sales("07:58:20"), &third, &pods(6, 6), at("07:58:30"));
    assert_eq!(api_available(&same), api_available(&third));
    assert_eq!(changes, []);
}

#[test]
fn a_sale_that_opens_with_too_few_pods_is_reported_once() {
    let before = status_of(
        vec![open_sale(0)],
        None,
        &FlashSaleStatus::default(),
        at("07:59:59"),
    );
    let opened = |before: &FlashSaleStatus, ready, now| {
        let sales = status_of(vec![open_sale(0)], None, before, at(now));
        with_api_pods(sales, before, &pods(ready, 6), at(now))
    };
    let (_, enough) = opened(&before, 6, "08:00:00");
    assert_eq!(enough, []);
    let (open, too_few) = opened(&before, 5, "08:00:00");
    let [change] = &too_few[..] else {
        panic!("{too_few:?}")
    };
    assert_eq!((change.warning, change.reason), (true, "NotEnoughPods"));
    assert_eq!(
        change.message,
        "shop.hourly.20261123T0800Z has opened, and 5 of 6 API pods are ready"
    );
    assert_eq!(opened(&open, 5, "08:00:01").1, []);
}

#[test]
fn what_keeps_the_pods_from_being_made_is_in_the_condition_and_reported_once() {
    let none = FlashSaleStatus::default();
    let fault = ApiPods {
        error: Some("Service shop-api: quota".to_owned()),
        ..pods(0, 6)
    };
    let sales = || status_of(vec![open_sale(0)], None, &none, at("07:58:00"));
    let (first, changes) = with_api_pods(sales(), &none, &fault, at("07:58:00"));
    assert_eq!(api_available(&first).reason, "NotApplied");
    assert_eq!(api_available(&first).message, "Service shop-api: quota");
    assert_eq!(changes.len(), 1);
    let (_, changes) = with_api_pods(sales(), &first, &fault, at("07:58:01"));
    assert_eq!(changes, []);
}
