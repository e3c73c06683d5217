//! Why a run ends, and what it makes of a sale that is sold out or over.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fake_api;

use std::time::{Duration, Instant};

use fake_api::run::{calls, plan, run, run_until};
use fake_api::{FakeApi, Settings};
use flashsale_load::LoadError;
use flashsale_load::report::table;
use flashsale_load::run::Ending;

#[test]
fn the_mixed_flow_sells_neighbours_and_goes_on_behind_them_in_the_next_run() {
    let api = FakeApi::open(Settings {
        items: 200_000,
        ..Settings::default()
    });
    let flags = "--profile mixed --connections 16 --rate 200 --duration 1";
    let mut sold = 0;
    for _ in 0..2 {
        let summary = run(&plan(api.url(), flags)).unwrap();
        assert!(summary.is_fine(), "{}", table::text(&summary));
        let purchases = calls(&summary, "POST /purchase");
        assert_eq!(calls(&summary, "POST /checkout"), purchases * 3);
        assert_eq!(summary.sold, purchases * 3);
        sold += summary.sold;
    }
    assert_eq!(api.sold() as u64, sold);
}

#[test]
fn every_profile_ends_with_what_there_is_to_sell() {
    // Of the hour that it was given it needs a moment.
    let api = FakeApi::open(Settings::default());
    let flags = "--connections 8 --users 32 --duration 3600";
    let summary = run(&plan(api.url(), &format!("--profile heavy {flags}"))).unwrap();
    assert_eq!(summary.ending, Ending::SoldOut);
    assert!(summary.is_fine(), "{}", table::text(&summary));
    assert_eq!(api.sold(), 1_000);

    // Nothing is left to measure.
    for profile in ["light", "stress", "checkout"] {
        let flags = format!("--profile {profile} {flags}");
        let refused = run(&plan(api.url(), &flags));
        assert!(
            matches!(refused, Err(LoadError::SoldOut { .. })),
            "{profile}"
        );
    }

    // Each item is offered once, and what cannot be sold a second time is no error.
    let api = FakeApi::open(Settings {
        items: 3_000,
        ..Settings::default()
    });
    let summary = run(&plan(api.url(), &format!("--profile mixed {flags}"))).unwrap();
    let used_up = [Ending::CatalogueUsedUp, Ending::SoldOut];
    assert!(used_up.contains(&summary.ending), "{:?}", summary.ending);
    assert_eq!(summary.errors, 0, "{}", table::text(&summary));
    assert!((2_900..=3_000).contains(&api.sold()), "{}", api.sold());
}

#[test]
fn users_of_a_second_run_see_what_the_first_one_has_sold() {
    let api = FakeApi::open(Settings::default());
    let flags = "--profile light --connections 8 --users 8 --rate 400 --duration 2";
    let first = run(&plan(api.url(), flags)).unwrap();
    assert!(first.sold > 100, "{}", table::text(&first));
    let second = run(&plan(api.url(), flags)).unwrap();
    let checkouts = second.endpoints.iter().find(|e| e.name == "POST /checkout");
    let refused = checkouts.unwrap().status.get("409").copied();
    // Two users may still want the same item.
    let share = refused.unwrap_or(0) as f64 / checkouts.unwrap().count as f64;
    assert!(
        share < first.sold as f64 / 1_000.0 / 2.0,
        "{}",
        table::text(&second)
    );
}

#[test]
fn a_climb_that_sells_out_before_the_knee_says_so() {
    let api = FakeApi::open(Settings {
        items: 100,
        ..Settings::default()
    });
    let flags = "--profile stress --rate 200 --connections 8 --users 8 --duration 60";
    let summary = run(&plan(api.url(), flags)).unwrap();
    assert_eq!(
        (summary.ending, summary.knee.as_ref()),
        (Ending::SoldOut, None)
    );
    // Refusals behind the end would have made whole steps.
    assert!(summary.rate_steps.is_empty(), "{}", table::text(&summary));
    let faults = summary.faults();
    assert!(
        faults[0].contains("everything was sold before a knee"),
        "{faults:?}"
    );
    assert!(faults[0].contains("catalog.generate.count"), "{faults:?}");
}

#[test]
fn an_interruption_between_two_steps_of_a_climb_is_not_lost() {
    // The answers to the end of the first step of five seconds come a second late.
    let api = FakeApi::open(Settings {
        stall: Some((Duration::from_millis(4_500), Duration::from_millis(1_500))),
        ..Settings::default()
    });
    let flags = "--profile stress --rate 20 --connections 4 --users 4 --duration 60";
    let while_they_are_waited_for = tokio::time::Instant::now() + Duration::from_millis(5_500);
    let interrupted = async move { tokio::time::sleep_until(while_they_are_waited_for).await };
    let summary = run_until(&plan(api.url(), flags), interrupted).unwrap();
    assert_eq!(summary.ending, Ending::Interrupted);
    assert!(summary.duration_s < 5.5, "{}", table::text(&summary));
    assert!(summary.rate_steps.len() <= 1, "{}", table::text(&summary));
}

#[test]
fn a_sale_that_ends_ends_the_run_and_what_is_refused_then_is_no_error() {
    let open_for = Duration::from_secs(2);
    for profile in ["heavy --users 8", "mixed", "realistic --users 50"] {
        let opened = Instant::now();
        let api = FakeApi::open(Settings {
            items: 40_000,
            open_for: Some(open_for),
            ..Settings::default()
        });
        let flags = format!("--profile {profile} --connections 4 --rate 200 --duration 3600");
        let summary = run(&plan(api.url(), &flags)).unwrap();
        assert_eq!(summary.ending, Ending::SaleEnded, "{profile}");
        assert!(summary.is_fine(), "{}", table::text(&summary));
        // A loaded machine may begin late: the end is the sale's.
        assert!(opened.elapsed() >= open_for, "{}", table::text(&summary));
        assert!(summary.duration_s < 5.0, "{}", table::text(&summary));
    }
}

#[test]
fn what_was_to_sell_out_and_did_not_is_a_fault() {
    let api = FakeApi::open(Settings {
        items: 40_000,
        ..Settings::default()
    });
    let flags = "--profile heavy --rate 50 --until-sold-out --duration 1";
    let summary = run(&plan(api.url(), flags)).unwrap();
    assert_eq!(summary.errors, 0);
    assert!(
        summary.faults()[0].starts_with("not sold out"),
        "{:?}",
        summary.faults()
    );
}

#[test]
fn without_a_sale_the_run_ends_in_time_and_says_what_to_do() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let plan = plan(&format!("http://{address}"), "--sale-start-timeout 1");
    let error = run(&plan).unwrap_err().to_string();
    assert!(
        error.contains("expected an active sale") && error.contains("--sale-start-timeout"),
        "{error}"
    );
}

#[test]
fn refusals_need_something_sold_and_expect_nothing_else() {
    let api = FakeApi::open(Settings {
        items: 100,
        ..Settings::default()
    });
    let refused = plan(api.url(), "--profile refused --connections 2 --duration 1");
    assert!(matches!(run(&refused), Err(LoadError::NothingSold { .. })));
    run(&plan(
        api.url(),
        "--profile heavy --until-sold-out --duration 60",
    ))
    .unwrap();
    let summary = run(&refused).unwrap();
    assert!(summary.is_fine(), "{}", table::text(&summary));
    assert_eq!(summary.status.keys().collect::<Vec<_>>(), ["409"]);
}
