//! What the bench asks of the generator: an opening, and one kind of call alone.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fake_api;

use std::process::Command;
use std::time::Duration;

use fake_api::run::{calls, plan, run};
use fake_api::{FakeApi, Settings};
use flashsale_load::report::table;

#[test]
fn load_on_a_named_sale_begins_when_it_starts_and_not_before() {
    let api = FakeApi::open(Settings {
        opens_after: Duration::from_millis(1_500),
        ..Settings::default()
    });
    let flags = format!(
        "--profile checkout --sale {} --rate 100 --connections 4 --duration 2",
        fake_api::SALE
    );
    let summary = run(&plan(api.url(), &flags)).unwrap();
    let table = table::text(&summary);
    // A call before the start is answered with 400, which the profile does not expect.
    assert_eq!(summary.errors, summary.backlog, "{table}");
    assert_eq!(summary.status.get("400"), None, "{table}");
    let first = &summary.first_second;
    assert!(
        (90..=105).contains(&(first.requests + first.backlog)),
        "{table}"
    );
    assert!(
        table.contains(&format!("first second: {} requests", first.requests)),
        "{table}"
    );
}

#[test]
fn a_named_sale_that_starts_too_late_is_an_error_that_names_it() {
    let api = FakeApi::open(Settings {
        opens_after: Duration::from_secs(600),
        ..Settings::default()
    });
    let flags = format!(
        "--profile checkout --sale {} --sale-start-timeout 1",
        fake_api::SALE
    );
    let error = run(&plan(api.url(), &flags)).unwrap_err().to_string();
    assert!(error.contains("which starts at"), "{error}");
}

#[test]
fn filled_carts_are_bought_by_purchases_alone_until_none_is_left() {
    let api = FakeApi::open(Settings::default());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("carts");
    let mut sold = 0;
    // The second time the carts begin behind what is sold.
    for carts in [20, 30] {
        let filled = Command::new(env!("CARGO_BIN_EXE_flashsale-load"))
            .args(["fill", "--target", api.url()])
            .args(["--carts", &carts.to_string()])
            .arg("--file")
            .arg(&file)
            .output()
            .unwrap();
        let printed = String::from_utf8(filled.stdout).unwrap();
        let expected = format!("filled {carts} carts");
        assert!(printed.starts_with(&expected), "{printed}");

        let checkouts = api.checkouts();
        let flags = format!(
            "--profile purchases --carts {} --connections 4 --duration 20",
            file.display()
        );
        let summary = run(&plan(api.url(), &flags)).unwrap();
        let table = table::text(&summary);
        assert!(summary.is_fine(), "{table}");
        assert!(table.contains("until each cart had been bought"), "{table}");
        assert_eq!(calls(&summary, "POST /purchase"), carts, "{table}");
        assert_eq!(api.checkouts(), checkouts, "the measured run filled a cart");
        sold += 3 * carts;
        assert_eq!(api.sold() as u64, sold);
    }
}

#[test]
fn browsing_reads_the_sale_and_three_pages_and_buys_nothing() {
    let api = FakeApi::open(Settings::default());
    let flags = "--profile browsing --connections 4 --rate 200 --duration 1";
    let summary = run(&plan(api.url(), flags)).unwrap();
    let table = table::text(&summary);
    assert_eq!(summary.errors, summary.backlog, "{table}");
    let sales = calls(&summary, "GET /sales/active");
    let pages = calls(&summary, "GET /sales/{id}/items");
    assert!(sales > 0, "{table}");
    // Those who are among their pages at the end have read fewer.
    assert!(
        pages <= 3 * sales && pages >= 3 * sales.saturating_sub(5),
        "{table}"
    );
    assert_eq!((api.checkouts(), api.sold()), (0, 0));
}

#[test]
fn a_run_until_sold_out_reports_when_the_last_item_was_bought() {
    let api = FakeApi::open(Settings::default());
    let flags = "--profile heavy --connections 8 --users 32 --until-sold-out --duration 60";
    let summary = run(&plan(api.url(), flags)).unwrap();
    let sold_s = summary.last_sold_s.unwrap();
    assert!(
        sold_s > 0.0 && sold_s <= summary.duration_s + 0.1,
        "{}",
        table::text(&summary)
    );
}
