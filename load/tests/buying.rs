//! `flashsale-load buy`: the first customer, who finds out whether a shop sells.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fake_api;

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use fake_api::{FakeApi, Lie, Settings};

fn buy(target: &str, within_s: u32) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flashsale-load"));
    command
        .args(["buy", "--target", target])
        .args(["--within", &within_s.to_string()])
        .env_remove("FLASHSALE_TARGET");
    command
}

fn text_of(output: &Output) -> String {
    let [out, errors] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{errors}")
}

#[test]
fn one_item_is_bought_and_named() {
    let api = FakeApi::open(Settings::default());
    let output = buy(api.url(), 30).output().unwrap();
    assert!(output.status.success(), "{}", text_of(&output));
    assert_eq!(api.sold(), 1);
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected = format!("of sale {} with code CHK-", fake_api::SALE);
    assert!(printed.starts_with("bought item "), "{printed}");
    assert!(printed.contains(&expected), "{printed}");
}

#[test]
fn the_target_may_come_from_the_environment() {
    let api = FakeApi::open(Settings::default());
    let output = Command::new(env!("CARGO_BIN_EXE_flashsale-load"))
        .arg("buy")
        .env("FLASHSALE_TARGET", api.url())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text_of(&output));
    assert_eq!(api.sold(), 1);
}

#[test]
fn a_sale_that_is_not_open_yet_is_waited_for() {
    let api = FakeApi::open(Settings {
        opens_after: Duration::from_millis(1_500),
        ..Settings::default()
    });
    let output = buy(api.url(), 30).output().unwrap();
    let text = text_of(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("not yet: no active sale"), "{text}");
    assert_eq!(api.sold(), 1);
}

#[test]
fn a_code_without_an_outcome_is_asked_again_and_nothing_is_bought_twice() {
    let api = FakeApi::open(Settings {
        lie: Lie::DeniesPurchases,
        ..Settings::default()
    });
    let output = buy(api.url(), 30).output().unwrap();
    let text = text_of(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("not yet: answer 503"), "{text}");
    assert_eq!((api.sold(), api.checkouts()), (1, 1));
}

#[test]
fn without_a_sale_it_fails_in_time_and_says_what_was_found_and_what_to_do() {
    let api = FakeApi::open(Settings {
        open_for: Some(Duration::ZERO),
        ..Settings::default()
    });
    let output = buy(api.url(), 1).output().unwrap();
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let address = api.url().strip_prefix("http://").unwrap();
    let expected =
        format!("expected to buy one item at {address} within 1 s, found no active sale; see");
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn a_refused_purchase_is_told_with_its_answer() {
    let api = FakeApi::open(Settings {
        lie: Lie::UnknownCodes,
        ..Settings::default()
    });
    let output = buy(api.url(), 1).output().unwrap();
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("found answer 404"), "{text}");
    assert!(text.contains("unknown_code"), "{text}");
    assert!(text.contains("to the purchase"), "{text}");
}

#[test]
fn nobody_there_is_told_too() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    let output = buy(&format!("http://127.0.0.1:{port}"), 1)
        .output()
        .unwrap();
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("found no connection"), "{text}");
}

#[test]
fn a_signal_ends_the_wait() {
    let api = FakeApi::open(Settings {
        open_for: Some(Duration::ZERO),
        ..Settings::default()
    });
    let mut child = buy(api.url(), 3_600)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("no active sale"));
    let kill = format!("kill -s TERM {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
