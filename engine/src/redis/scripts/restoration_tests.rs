//! A large sale that Redis lost, restored and read back on a real redis-server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;

use flashsale_servers::RedisCluster as Server;
use jiff::Timestamp;

use crate::domain::certificates::Certificates;
use crate::domain::code::CodeSuffix;
use crate::domain::outcome::{ItemOutcome, ItemResult, Outcome, Purchase};
use crate::domain::sale::{CURRENT_FORMAT, Limits, Sale, SaleId, Window};
use crate::observability::Ambient;
use crate::redis::cluster::RedisCluster;
use crate::redis::codec::Format;
use crate::redis::commands::call;
use crate::redis::keys::SaleKeys;
use crate::redis::sale_state;
use crate::redis::scripts::RESTORED_AT_ONCE;
use crate::redis::scripts::mark_ready::mark_sale_ready;
use crate::redis::scripts::restore_outcomes::restore_outcomes;
use crate::redis::scripts::restore_purchases::restore_purchases;
use crate::redis::scripts::snapshot::{Buyer, snapshot};

/// Enough for some pages of buyers, whose hash is then a table and no list.
const BUYERS: u32 = 4_000;
const ITEMS_EACH: u32 = 3;
const ITEMS: u32 = BUYERS * ITEMS_EACH * 2;

/// What was sold, in the order of Postgres: every other item, and the items of a buyer far apart.
fn purchases() -> Vec<Purchase> {
    let purchase = |n: u32| Purchase {
        idx: 2 * n,
        user: format!("user-{}", n % BUYERS),
        user_slot: n / BUYERS + 1,
        sale_slot: n + 1,
    };
    (0..BUYERS * ITEMS_EACH).map(purchase).collect()
}

async fn connect(server: &Server) -> RedisCluster {
    let Ambient { metrics, clock, .. } = Ambient::system().unwrap();
    RedisCluster::connect(&server.url(), &Certificates::NONE, metrics, clock)
        .await
        .unwrap()
}

fn sale() -> Sale {
    Sale {
        id: "shop.hourly.20261123T0800Z".parse::<SaleId>().unwrap(),
        window: Window {
            starts_at: Timestamp::UNIX_EPOCH,
            ends_at: "2999-01-01T00:00:00Z".parse().unwrap(),
        },
        limits: Limits {
            per_user: 10,
            per_checkout: 10,
            total: ITEMS,
        },
        items: ITEMS,
        partitions: 1,
        best_effort: false,
        format: CURRENT_FORMAT,
    }
}

#[tokio::test]
async fn a_view_of_a_restored_sale_has_all_items_and_buyers() {
    let server = Server::single().unwrap();
    let redis = connect(&server).await;
    let sale = sale();
    let keys = SaleKeys::new(&sale.id, Format::CURRENT);
    let purchases = purchases();
    // Another process may restore the same at the same time.
    for _ in 0..2 {
        for chunk in purchases.chunks(RESTORED_AT_ONCE) {
            restore_purchases(&redis, &keys, chunk).await.unwrap();
        }
    }
    mark_sale_ready(&redis, &keys, &sale, "first")
        .await
        .unwrap();

    let taken = snapshot(&redis, &keys).await.unwrap().unwrap();
    assert_eq!((taken.epoch.as_str(), taken.seq), ("first", 0));
    let is_sold = |idx: u32| {
        let byte = taken.bitmap.get(idx as usize / 8).copied().unwrap_or(0);
        byte & (0x80 >> (idx % 8)) != 0
    };
    assert!((0..ITEMS).all(|idx| is_sold(idx) == idx.is_multiple_of(2)));
    let bought = Buyer {
        items: ITEMS_EACH,
        as_of: 0,
    };
    let expected = (0..BUYERS).map(|n| (format!("user-{n}"), bought));
    assert_eq!(taken.buyers, expected.collect::<HashMap<_, _>>());

    let mut command = redis::cmd("HMGET");
    command.arg(&keys.meta).arg("sold").arg("next_slot");
    let counts: (u32, u32) = call(&redis, "feed", &keys.meta, &command).await.unwrap();
    let sold = BUYERS * ITEMS_EACH;
    assert_eq!(counts, (sold, sold + 1));
}

#[tokio::test]
async fn restored_outcomes_leave_those_that_redis_holds() {
    let server = Server::single().unwrap();
    let redis = connect(&server).await;
    let keys = SaleKeys::new(&sale().id, Format::CURRENT);
    let of_user = |n: u32, user: &str| {
        let outcome = Outcome {
            user: user.to_owned(),
            request_id: "r".to_owned(),
            at_ms: 1_000,
            results: vec![ItemResult {
                idx: n,
                outcome: ItemOutcome::AlreadySold,
            }],
        };
        (CodeSuffix::parse(&format!("{n:022}")).unwrap(), outcome)
    };
    let held = [of_user(3, "from-redis")];
    restore_outcomes(&redis, &keys, &held).await.unwrap();
    let all: Vec<_> = (0..RESTORED_AT_ONCE as u32)
        .map(|n| of_user(n, "from-postgres"))
        .collect();
    for _ in 0..2 {
        restore_outcomes(&redis, &keys, &all).await.unwrap();
    }
    let suffixes: Vec<CodeSuffix> = all.iter().map(|(suffix, _)| *suffix).collect();
    let read = sale_state::read_outcomes(&redis, &keys, &suffixes).await;
    let read: HashMap<CodeSuffix, Outcome> = read.unwrap().into_iter().collect();
    let mut expected: HashMap<CodeSuffix, Outcome> = all.into_iter().collect();
    expected.extend(held);
    assert_eq!(read, expected);
}
