//! The check of the answers against a real Postgres with the real tables.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod shop;

use clap::Parser;
use flashsale_load::args::{Args, Plan};
use flashsale_load::execute;
use flashsale_load::summary::Summary;
use flashsale_servers::Postgres;
use shop::{Lie, Settings, Shop};
use sqlx::PgPool;

const ITEMS: u32 = 300;

/// Sells out a shop that keeps its books in a database of its own.
fn sell_out(postgres: &Postgres, name: &str, lie: Lie) -> Summary {
    let url = postgres.create_database(name).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let pool = PgPool::connect(&url).await.unwrap();
        sqlx::migrate!("../migrations").run(&pool).await.unwrap();
        shop::database::seed(&pool, ITEMS).await;
        pool.close().await;
    });
    let shop = Shop::open(Settings {
        items: ITEMS,
        lie,
        database: Some(url.clone()),
        ..Settings::default()
    });
    let words = format!(
        "flashsale-load --quiet --seed 3 --target {} --postgres {url} --profile heavy \
         --connections 8 --users 16 --until-sold-out --duration 60",
        shop.url()
    );
    let args = Args::try_parse_from(words.split_whitespace()).unwrap();
    let plan = Plan::from(args);
    let summary = tokio::task::LocalSet::new().block_on(&runtime, execute(&plan));
    summary.unwrap()
}

fn broken(summary: &Summary) -> Vec<&str> {
    let broken = summary.verdicts.iter().filter(|verdict| !verdict.held);
    broken.map(|verdict| verdict.invariant).collect()
}

#[test]
fn an_honest_shop_holds_everywhere_and_liars_are_found_out() {
    let postgres = Postgres::start().unwrap();

    let honest = sell_out(&postgres, "honest", Lie::None);
    assert_eq!(honest.verdicts.len(), 6, "{}", honest.table());
    assert!(honest.is_fine(), "{}", honest.table());
    assert_eq!(honest.sold, u64::from(ITEMS));

    let forgetful = sell_out(&postgres, "forgetful", Lie::ForgetsPurchases);
    assert_eq!(broken(&forgetful), ["every answered purchase is there"]);
    assert!(!forgetful.is_fine());

    let verbose = sell_out(&postgres, "verbose", Lie::LogsTwice);
    assert_eq!(broken(&verbose), ["every answered attempt is logged once"]);
    assert!(
        verbose.table().contains("is logged twice"),
        "{}",
        verbose.table()
    );
}
