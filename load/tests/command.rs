//! The program itself: what it exits with, what it leaves, how it is interrupted.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fake_api;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use fake_api::{FakeApi, Settings};

fn command(flags: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flashsale-load"));
    command
        .args(flags.split_whitespace())
        .env_remove("FLASHSALE_POSTGRES_URL");
    command
}

fn text_of(output: &Output) -> String {
    let [out, errors] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{errors}")
}

fn signal(name: &str, child: &Child) {
    let kill = format!("kill -s {name} {}", child.id());
    let status = Command::new("sh").args(["-c", &kill]).status();
    assert!(status.unwrap().success());
}

#[test]
fn several_profiles_run_one_after_the_other_and_each_is_told() {
    let api = FakeApi::open(Settings {
        items: 40_000,
        ..Settings::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let target = api.url();
    let flags = format!(
        "--quiet --target {target} --profile light,heavy,realistic --duration 1 --rate 100 \
         --connections 4 --users 8 --report {}",
        folder.path().join("new/reports").display()
    );
    let output = command(&flags).output().unwrap();
    let text = text_of(&output);
    assert!(output.status.success(), "{text}");
    for profile in ["light", "heavy", "realistic"] {
        for name in ["report.html", "report.json", "sale.svg"] {
            let file = folder.path().join(format!("new/reports/{profile}/{name}"));
            assert!(file.is_file(), "{}", file.display());
        }
        assert!(
            text.contains(&format!("{profile} on {}", fake_api::SALE)),
            "{text}"
        );
        assert!(text.contains(&format!("{profile:<12}fine")), "{text}");
    }
}

#[test]
fn one_profile_that_fails_fails_all_and_the_others_still_run() {
    let api = FakeApi::open(Settings {
        items: 100,
        ..Settings::default()
    });
    let target = api.url();
    let flags = format!("--quiet --target {target} --profile heavy,realistic,refused --duration 2");
    let output = command(&flags).output().unwrap();
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("is sold out until"), "{text}");
    for end in ["heavy       fine", "realistic   FAILED", "refused     fine"] {
        assert!(text.contains(end), "{text}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_told_before_the_run() {
    let api = FakeApi::open(Settings::default());
    let flags = format!("--target {} --report /dev/null/reports", api.url());
    let output = command(&flags).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text_of(&output).contains("could not write /dev/null/reports"));
    assert_eq!(api.checkouts(), 0);
}

/// Starts a run whose calls are not answered any more after a moment, and returns it once
/// they are not.
fn silenced(api: &FakeApi, flags: &str) -> Child {
    let words = format!("--target {} --connections 2 {flags}", api.url());
    let child = command(&words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut before = 0;
    let mut still = 0;
    while still < 10 {
        assert!(Instant::now() < deadline, "no call came");
        let now = api.checkouts();
        still = if now > 0 && now == before {
            still + 1
        } else {
            0
        };
        before = now;
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}

fn silent_after(span: Duration) -> FakeApi {
    FakeApi::open(Settings {
        items: 200_000,
        stall: Some((span, Duration::from_secs(3_600))),
        ..Settings::default()
    })
}

#[test]
fn the_first_ctrl_c_ends_the_run_with_its_summary() {
    let api = silent_after(Duration::from_secs(2));
    let child = silenced(&api, "--profile checkout --duration 3600 --timeout 2");
    signal("INT", &child);
    let output = child.wait_with_output().unwrap();
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("until it was interrupted"), "{text}");
}

#[test]
fn the_second_ctrl_c_ends_it_at_once() {
    let api = silent_after(Duration::from_secs(2));
    let mut child = silenced(&api, "--profile checkout --duration 3600 --timeout 20");
    let began = Instant::now();
    signal("INT", &child);
    signal("TERM", &child);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    // The call that is waited for would take its twenty seconds.
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn ctrl_c_ends_the_wait_for_a_sale() {
    let closed = FakeApi::open(Settings {
        open_for: Some(Duration::ZERO),
        ..Settings::default()
    });
    let words = format!("--target {} --sale-start-timeout 3600", closed.url());
    let mut child = command(&words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(
        lines
            .next()
            .unwrap()
            .unwrap()
            .contains("waiting up to 3600 s")
    );
    signal("INT", &child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
