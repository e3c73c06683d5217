//! The generator against a small shop: its loops, its client, its exit.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod shop;

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use flashsale_load::args::{Args, Plan};
use flashsale_load::client::{Client, NoAnswer, Target};
use flashsale_load::summary::Summary;
use flashsale_load::{LoadError, execute, write_reports};
use shop::{Settings, Shop};
use tokio::net::TcpListener;

fn plan(target: &str, flags: &str) -> Plan {
    let words = format!("flashsale-load --quiet --seed 1 --target {target} {flags}");
    Args::try_parse_from(words.split_whitespace())
        .unwrap()
        .into()
}

fn run(plan: &Plan) -> Result<Summary, LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, execute(plan))
}

fn calls(summary: &Summary, endpoint: &str) -> u64 {
    let found = summary.endpoints.iter().find(|e| e.name == endpoint);
    found.map_or(0, |e| e.count)
}

#[test]
fn hurried_users_sell_everything_out_and_the_report_tells_it() {
    let shop = Shop::open(Settings::default());
    let folder = tempfile::tempdir().unwrap();
    let flags = format!(
        "--profile heavy --connections 8 --users 32 --until-sold-out --duration 60 --report {0} --json {0}/run.json",
        folder.path().display()
    );
    let plan = plan(shop.url(), &flags);
    let summary = run(&plan).unwrap();

    assert!(summary.is_fine(), "{}", summary.table());
    assert_eq!((shop.sold(), summary.sold), (1_000, 1_000));
    assert!(calls(&summary, "POST /checkout") >= 1_000);
    assert!(calls(&summary, "POST /purchase") >= 100);

    let files = write_reports(&plan, &summary).unwrap();
    assert_eq!(files.len(), 3);
    let html = std::fs::read_to_string(&files[0]).unwrap();
    assert!(html.contains("Items sold over time") && html.contains("</svg>"));
    assert!(
        !html.contains("http://") && !html.contains("https://"),
        "needs the network"
    );
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&files[2]).unwrap()).unwrap();
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
        Shop::open(Settings {
            stall: Some((from, Duration::from_millis(600))),
            ..Settings::default()
        })
    };
    let shop = stalling();
    let open = "--profile checkout --connections 2 --duration 3 --rate 200";
    let summary = run(&plan(shop.url(), open)).unwrap();
    assert_eq!(summary.mode, "open");
    assert!(
        (500..=620).contains(&summary.requests),
        "{}",
        summary.requests
    );
    // 120 of 600 calls were meant to start while nothing was answered.
    assert!(summary.p95_ms > 200.0, "p95 {} ms", summary.p95_ms);

    let shop = stalling();
    let closed = "--profile checkout --connections 2 --duration 3";
    let summary = run(&plan(shop.url(), closed)).unwrap();
    assert_eq!(summary.mode, "closed");
    assert!(summary.p95_ms < 100.0, "p95 {} ms", summary.p95_ms);
    assert!(summary.max_ms > 200.0, "max {} ms", summary.max_ms);
}

#[test]
fn a_rate_is_kept_and_spread_over_all_targets() {
    let shops = [
        Shop::open(Settings::default()),
        Shop::open(Settings::default()),
    ];
    let targets = format!("{},{}", shops[0].url(), shops[1].url());
    let flags = "--profile checkout --rate 200 --duration 2 --connections 4";
    let summary = run(&plan(&targets, flags)).unwrap();
    let rate = summary.requests_per_second;
    assert!((rate - 200.0).abs() < 30.0, "{}", summary.table());
    for shop in &shops {
        assert!(shop.checkouts() > summary.requests / 3);
    }
}

#[test]
fn stress_climbs_until_answers_are_late() {
    // From the eighth second on nothing is answered in time.
    let shop = Shop::open(Settings {
        stall: Some((Duration::from_secs(7), Duration::from_secs(2))),
        ..Settings::default()
    });
    let flags = "--profile stress --rate 100 --connections 16 --users 16 --duration 60";
    let summary = run(&plan(shop.url(), flags)).unwrap();
    assert!(summary.is_fine(), "{}", summary.table());
    assert_eq!(summary.rungs.len(), 2, "{}", summary.table());
    let knee = summary.knee.unwrap();
    assert!((knee.held_rate - 100.0).abs() < f64::EPSILON);
    assert!((knee.broken_rate - 140.0).abs() < 0.001);
}

#[test]
fn the_mixed_flow_sells_neighbours_and_goes_on_behind_them_in_the_next_run() {
    let shop = Shop::open(Settings {
        items: 200_000,
        ..Settings::default()
    });
    let flags = "--profile mixed --connections 4 --rate 2000 --duration 1";
    let mut sold = 0;
    for _ in 0..2 {
        let summary = run(&plan(shop.url(), flags)).unwrap();
        assert!(summary.is_fine(), "{}", summary.table());
        let purchases = calls(&summary, "POST /purchase");
        assert_eq!(calls(&summary, "POST /checkout"), purchases * 3);
        assert_eq!(summary.sold, purchases * 3);
        sold += summary.sold;
    }
    assert_eq!(shop.sold() as u64, sold);
}

#[test]
fn refusals_need_something_sold_and_expect_nothing_else() {
    let shop = Shop::open(Settings {
        items: 100,
        ..Settings::default()
    });
    let refused = plan(shop.url(), "--profile refused --connections 2 --duration 1");
    assert!(matches!(run(&refused), Err(LoadError::NothingSold { .. })));
    run(&plan(
        shop.url(),
        "--profile heavy --until-sold-out --duration 60",
    ))
    .unwrap();
    let summary = run(&refused).unwrap();
    assert!(summary.is_fine(), "{}", summary.table());
    assert_eq!(summary.status.keys().collect::<Vec<_>>(), ["409"]);
}

#[test]
fn what_was_to_sell_out_and_did_not_is_a_fault() {
    let shop = Shop::open(Settings {
        items: 40_000,
        ..Settings::default()
    });
    let flags = "--profile heavy --rate 50 --until-sold-out --duration 1";
    let summary = run(&plan(shop.url(), flags)).unwrap();
    assert_eq!(summary.errors, 0);
    assert!(
        summary.faults()[0].starts_with("not sold out"),
        "{:?}",
        summary.faults()
    );
}

#[test]
fn realistic_users_think_so_that_many_of_them_make_few_calls() {
    let shop = Shop::open(Settings::default());
    let flags = "--profile realistic --users 200 --connections 20 --duration 2";
    let summary = run(&plan(shop.url(), flags)).unwrap();
    assert!(summary.is_fine(), "{}", summary.table());
    assert!(
        (200..2_000).contains(&summary.requests),
        "{}",
        summary.requests
    );
    assert!(calls(&summary, "GET /sales/active") >= 200);
    assert!(calls(&summary, "GET /sales/{id}/items") > 0);
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
fn a_server_that_hangs_up_between_calls_costs_no_error() {
    let shop = Shop::open(Settings {
        hang_up_every: Some(3),
        ..Settings::default()
    });
    let summary = run(&plan(
        shop.url(),
        "--profile checkout --connections 2 --rate 300 --duration 1",
    ));
    let summary = summary.unwrap();
    assert!(summary.is_fine(), "{}", summary.table());
    assert!(summary.requests > 200);
}

/// A server that reads one request, answers with these bytes, and hangs up.
async fn answering(bytes: &'static [u8]) -> Client {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target: Target = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    Client::new(Arc::new(target), Duration::from_secs(10))
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_no_answer() {
    let mut client = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    assert!(matches!(client.get("/").await, Err(NoAnswer::Body(_))));
    let mut client = answering(b"").await;
    assert!(matches!(client.get("/").await, Err(NoAnswer::Broken(_))));
    let mut client = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfull").await;
    for _ in 0..2 {
        let (status, body) = client.get("/").await.unwrap();
        assert_eq!((status, &body[..]), (200, &b"full"[..]));
    }
}

#[tokio::test]
async fn silence_ends_by_the_time_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let timeout = Duration::from_millis(200);
    let mut client = Client::new(Arc::new(url.parse().unwrap()), timeout);
    let answer = tokio::time::timeout(Duration::from_secs(10), client.get("/")).await;
    assert!(
        matches!(answer, Ok(Err(NoAnswer::TimedOut(_)))),
        "{answer:?}"
    );
}
