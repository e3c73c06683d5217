//! The check of the answers against a real Postgres with the real tables.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fake_api;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use fake_api::{FakeApi, Lie, Settings};
use flashsale_load::args::Args;
use flashsale_load::checker::verdict::Finding;
use flashsale_load::clock::Clock;
use flashsale_load::execute;
use flashsale_load::report::summary::Summary;
use flashsale_load::report::table;
use flashsale_load::run::Ending;
use flashsale_load::run::interrupt::Interrupt;
use flashsale_servers::Postgres;
use sqlx::PgPool;
use sqlx::migrate::Migrator;

const ITEMS: u32 = 300;
const LIMIT: Duration = Duration::from_secs(60);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// A fake API that keeps its state in this database.
fn open_api(url: &str, lie: Lie) -> FakeApi {
    runtime().block_on(async {
        let pool = PgPool::connect(url).await.unwrap();
        let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
        let migrator = Migrator::new(migrations.as_path()).await.unwrap();
        migrator.run(&pool).await.unwrap();
        fake_api::database::seed(&pool, ITEMS).await;
        pool.close().await;
    });
    FakeApi::open(Settings {
        items: ITEMS,
        lie,
        database: Some(url.to_owned()),
        ..Settings::default()
    })
}

fn sell_out(api: &FakeApi, url: &str, flags: &str) -> Summary {
    let words = format!(
        "flashsale-load --quiet --seed 3 --target {} --postgres {url} --profile heavy \
         --connections 8 --users 16 {flags}",
        api.url()
    );
    let args = Args::try_parse_from(words.split_whitespace()).unwrap();
    let plan = args.plans(1).unwrap().remove(0);
    let (_nobody, never) = Interrupt::by_hand();
    tokio::task::LocalSet::new()
        .block_on(&runtime(), execute(&plan, &never, Clock::system()))
        .unwrap()
}

fn faults(summary: &Summary) -> Vec<(&str, Finding)> {
    let verdicts = summary.verdicts.iter();
    let faults = verdicts.filter(|verdict| verdict.finding.is_fault());
    faults
        .map(|verdict| (verdict.invariant, verdict.finding))
        .collect()
}

#[test]
fn an_honest_shop_holds_everywhere_and_liars_are_found_out() {
    let postgres = Postgres::start().unwrap();
    let visit = |name: &'static str, lie: Lie, flags: &'static str| {
        let url = postgres.create_database(name).unwrap();
        move || sell_out(&open_api(&url, lie), &url, flags)
    };
    let honest = visit("honest", Lie::None, "--until-sold-out");
    let forgetful = visit("forgetful", Lie::ForgetsPurchases, "--until-sold-out");
    let verbose = visit("verbose", Lie::LogsTwice, "--duration 60");
    let late = visit("late", Lie::LogsTwiceLate, "--duration 60");
    let ignorant = visit(
        "ignorant",
        Lie::UnknownCodes,
        "--duration 1 --expect-errors",
    );
    // Each waits some seconds for rows that come late, so all at once.
    let [honest, forgetful, verbose, late, ignorant] = thread::scope(|scope| {
        let visits = [
            scope.spawn(honest),
            scope.spawn(forgetful),
            scope.spawn(verbose),
            scope.spawn(late),
            scope.spawn(ignorant),
        ];
        visits.map(|visit| visit.join().unwrap())
    });

    assert_eq!(honest.verdicts.len(), 7, "{}", table::text(&honest));
    assert!(honest.is_fine(), "{}", table::text(&honest));
    assert_eq!(honest.sold, u64::from(ITEMS));

    let lost = ("every answered purchase is there", Finding::Broken);
    assert_eq!(faults(&forgetful), [lost]);
    assert!(!forgetful.is_fine());

    let doubled = ("every answered attempt is logged once", Finding::Broken);
    for doubling in [verbose, late] {
        assert_eq!(faults(&doubling), [doubled], "{}", table::text(&doubling));
        assert!(table::text(&doubling).contains("is logged twice"));
    }

    // Errors were expected, and still nothing speaks for it.
    let unseen = |invariant| (invariant, Finding::NotChecked);
    assert_eq!(
        faults(&ignorant),
        [
            unseen("nothing is sold twice"),
            unseen("nobody is over the limit"),
            unseen("the total is not exceeded"),
            unseen("every answered purchase is there"),
            ("carts keep answered items", Finding::Broken),
        ],
        "{}",
        table::text(&ignorant)
    );
}

/// Sells out beside a Postgres that `then` is done to once everything is stored.
fn sell_out_then(flags: &str, then: impl FnOnce(&mut Postgres)) -> Summary {
    let mut postgres = Postgres::start().unwrap();
    let url = postgres.url();
    let api = open_api(&url, Lie::None);
    thread::scope(|scope| {
        let load = scope.spawn(|| sell_out(&api, &url, flags));
        let deadline = Instant::now() + LIMIT;
        let stored = "SELECT count(*) FROM checkout_attempts";
        while api.sold() < ITEMS as usize
            || postgres.query(stored).unwrap() != api.checkouts().to_string()
        {
            assert!(Instant::now() < deadline, "not everything is stored");
        }
        then(&mut postgres);
        load.join().unwrap()
    })
}

#[test]
fn a_postgres_that_was_killed_and_comes_back_is_asked_again() {
    let summary = sell_out_then("--duration 60", |postgres| {
        postgres.kill();
        postgres.start_again().unwrap();
    });
    assert_eq!(summary.ending, Ending::SoldOut);
    assert_eq!(summary.verdicts.len(), 7, "{}", table::text(&summary));
    assert!(summary.is_fine(), "{}", table::text(&summary));
}

#[test]
fn a_postgres_that_stays_away_costs_the_verdict_and_not_the_numbers() {
    let summary = sell_out_then("--postgres-timeout 1 --duration 60", Postgres::stop);
    assert_eq!(summary.sold, u64::from(ITEMS));
    assert!(!summary.is_fine());
    let faults = summary.faults();
    assert!(
        faults.len() == 1 && faults[0].starts_with("the answers were not checked"),
        "{faults:?}"
    );
    let json: serde_json::Value = serde_json::from_str(&summary.json()).unwrap();
    assert!(json["check_failed"].is_string() && json["requests"].as_u64() > Some(0));
}
