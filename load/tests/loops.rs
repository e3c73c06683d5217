//! The generator against a small api: its loops, its counts, its report.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fake_api;

use std::time::Duration;

use fake_api::run::{calls, plan, run};
use fake_api::{FakeApi, Lie, Settings};
use flashsale_load::report::{files, table};

#[test]
fn hurried_users_sell_everything_out_and_the_report_tells_it() {
    let api = FakeApi::open(Settings::default());
    let folder = tempfile::tempdir().unwrap();
    let flags = format!(
        "--profile heavy --connections 8 --users 32 --until-sold-out --duration 60 --report {0} --json {0}/run.json",
        folder.path().display()
    );
    let plan = plan(api.url(), &flags);
    let summary = run(&plan).unwrap();

    assert!(summary.is_fine(), "{}", table::text(&summary));
    assert_eq!((api.sold(), summary.sold), (1_000, 1_000));
    assert!(calls(&summary, "POST /checkout") >= 1_000);
    assert!(calls(&summary, "POST /purchase") >= 100);

    let files = files::write(&plan, &summary).unwrap();
    assert_eq!(files.len(), 4);
    let html = std::fs::read_to_string(&files[0]).unwrap();
    assert!(html.contains("Items sold over time") && html.contains("</svg>"));
    assert!(
        !html.contains("http://") && !html.contains("https://"),
        "needs the network"
    );
    let picture = std::fs::read_to_string(&files[2]).unwrap();
    assert!(picture.contains("1,000 items sold out in ") && picture.contains(">sold out<"));
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&files[3]).unwrap()).unwrap();
    assert_eq!(json["sold"], 1_000);
    assert_eq!(json["profile"], "heavy");
    assert_eq!(json["requests"], summary.requests);
    let by_status = json["status"].as_object().unwrap().values();
    assert_eq!(
        by_status.map(|n| n.as_u64().unwrap()).sum::<u64>(),
        summary.requests
    );
}

#[test]
fn a_stall_counts_from_the_intended_start_in_an_open_loop_alone() {
    let stalling = || {
        let from = Duration::from_millis(500);
        FakeApi::open(Settings {
            stall: Some((from, Duration::from_millis(600))),
            ..Settings::default()
        })
    };
    let api = stalling();
    let open = "--profile checkout --connections 2 --duration 3 --rate 200";
    let summary = run(&plan(api.url(), open)).unwrap();
    assert_eq!(summary.mode, "open");
    assert!(
        (500..=620).contains(&summary.requests),
        "{}",
        summary.requests
    );
    // 120 of 600 calls were meant to start while nothing was answered.
    assert!(summary.p95_ms > 200.0, "p95 {} ms", summary.p95_ms);

    let api = stalling();
    let closed = "--profile checkout --connections 2 --duration 3";
    let summary = run(&plan(api.url(), closed)).unwrap();
    assert_eq!(summary.mode, "closed");
    assert!(summary.p95_ms < 100.0, "p95 {} ms", summary.p95_ms);
    assert!(summary.max_ms > 200.0, "max {} ms", summary.max_ms);
}

#[test]
fn a_rate_is_kept_and_spread_over_all_targets() {
    let shops = [
        FakeApi::open(Settings::default()),
        FakeApi::open(Settings::default()),
    ];
    let targets = format!("{},{}", shops[0].url(), shops[1].url());
    let flags = "--profile checkout --rate 200 --duration 2 --connections 4";
    let summary = run(&plan(&targets, flags)).unwrap();
    let rate = summary.requests_per_second;
    assert!((rate - 200.0).abs() < 30.0, "{}", table::text(&summary));
    for api in &shops {
        assert!(api.checkouts() > summary.requests / 3);
    }
}

#[test]
fn stress_climbs_until_answers_are_late() {
    // From the eighth second on nothing is answered in time.
    let api = FakeApi::open(Settings {
        stall: Some((Duration::from_secs(7), Duration::from_secs(2))),
        ..Settings::default()
    });
    let flags = "--profile stress --rate 100 --connections 16 --users 16 --duration 60";
    let summary = run(&plan(api.url(), flags)).unwrap();
    assert!(summary.is_fine(), "{}", table::text(&summary));
    assert_eq!(summary.rate_steps.len(), 2, "{}", table::text(&summary));
    let knee = summary.knee.unwrap();
    assert!((knee.held_rate - 100.0).abs() < f64::EPSILON);
    assert!((knee.broken_rate - 140.0).abs() < 0.001);
}

#[test]
fn a_shop_that_knows_none_of_its_codes_does_not_pass() {
    let api = FakeApi::open(Settings {
        lie: Lie::UnknownCodes,
        ..Settings::default()
    });
    let flags = "--profile heavy --users 8 --connections 4 --rate 300 --duration 1";
    let summary = run(&plan(api.url(), flags)).unwrap();
    assert_eq!(summary.errors, calls(&summary, "POST /purchase"));
    assert!(summary.errors > 0 && !summary.is_fine());
}

#[test]
fn calls_that_were_due_and_never_started_are_errors_and_the_worst_latencies() {
    // From the first second on nothing is answered until behind the end.
    let api = FakeApi::open(Settings {
        stall: Some((Duration::from_secs(1), Duration::from_secs(3))),
        ..Settings::default()
    });
    let flags = "--profile checkout --connections 4 --rate 100 --duration 2";
    let summary = run(&plan(api.url(), flags)).unwrap();
    let table = table::text(&summary);
    // Four calls are on their way; about a hundred more were due in the second second.
    assert!((50..=110).contains(&summary.backlog), "{table}");
    let due = summary.requests + summary.backlog;
    assert!((200..=240).contains(&due), "{table}");
    assert_eq!(summary.errors, summary.backlog, "{table}");
    assert!(!summary.is_fine(), "{table}");
    // Half of the calls waited for up to a second, and every tenth for 0.8 s.
    assert!((700.0..1_100.0).contains(&summary.p95_ms), "{table}");
}

#[test]
fn a_rate_counts_what_was_done_until_the_stop_and_not_the_wait_behind_it() {
    // From the first second on nothing is answered until the fourth.
    let api = FakeApi::open(Settings {
        stall: Some((Duration::from_secs(1), Duration::from_secs(3))),
        ..Settings::default()
    });
    let flags = "--profile checkout --connections 4 --rate 100 --duration 2";
    let summary = run(&plan(api.url(), flags)).unwrap();
    assert!(
        (1.9..2.5).contains(&summary.duration_s),
        "{}",
        table::text(&summary)
    );
    let in_time = summary.requests_per_second * summary.duration_s;
    assert!(
        in_time < summary.requests as f64 - 3.0,
        "{}",
        table::text(&summary)
    );
    assert!(
        (30.0..70.0).contains(&summary.requests_per_second),
        "{}",
        table::text(&summary)
    );
    // Slow as they were, they are in the latencies.
    assert!(summary.max_ms > 2_000.0, "{}", table::text(&summary));
}

#[test]
fn silence_is_told_with_its_reason() {
    let api = FakeApi::open(Settings {
        stall: Some((Duration::from_millis(500), Duration::from_secs(3_600))),
        ..Settings::default()
    });
    let flags = "--profile checkout --connections 2 --duration 1 --timeout 1";
    let summary = run(&plan(api.url(), flags)).unwrap();
    assert_eq!(summary.no_answers.len(), 1);
    let silence = &summary.no_answers[0];
    assert_eq!((silence.kind, silence.count), ("time-out", summary.errors));
    let expected = format!("no answer to {} calls: no answer within 1 s", silence.count);
    assert!(
        table::text(&summary).contains(&expected),
        "{}",
        table::text(&summary)
    );
}

#[test]
fn realistic_users_think_so_that_many_of_them_make_few_calls() {
    let api = FakeApi::open(Settings::default());
    let flags = "--profile realistic --users 200 --connections 20 --duration 2";
    let summary = run(&plan(api.url(), flags)).unwrap();
    assert!(summary.is_fine(), "{}", table::text(&summary));
    assert!(
        (200..2_000).contains(&summary.requests),
        "{}",
        summary.requests
    );
    assert!(calls(&summary, "GET /sales/active") >= 200);
    assert!(calls(&summary, "GET /sales/{id}/items") > 0);
}

#[test]
fn a_server_that_hangs_up_between_calls_costs_no_error() {
    let api = FakeApi::open(Settings {
        hang_up_every: Some(3),
        ..Settings::default()
    });
    let summary = run(&plan(
        api.url(),
        "--profile checkout --connections 2 --rate 300 --duration 1",
    ));
    let summary = summary.unwrap();
    // Calls that a busy machine did not start in time are counted as errors, too.
    assert_eq!(summary.errors, summary.backlog, "{}", table::text(&summary));
    assert!(summary.no_answers.is_empty(), "{}", table::text(&summary));
    assert!(summary.requests > 20, "{}", table::text(&summary));
}
