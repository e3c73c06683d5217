//! A Redis master is killed under load; its replica takes over, without what was not yet there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use support::{Answer, Client, Stack, eventually, limits};

const ITEMS: u32 = 20_000;
const SHOPPERS: usize = 8;
const MASTERS: usize = 3;

/// Somebody who wants items that no other shopper wants.
struct Shopper {
    client: Client,
    bases: [String; 2],
    items: Vec<String>,
    over: Arc<AtomicBool>,
    /// Purchases with success, of all shoppers, by process.
    sold: Arc<[AtomicUsize; 2]>,
    told: Told,
}

/// What a shopper was told.
#[derive(Default)]
struct Told {
    checkouts: i64,
    unavailable: i64,
    /// Items by the code that bought them.
    bought: BTreeMap<String, BTreeSet<String>>,
}

impl Shopper {
    /// Asks until the answer is no "ask again".
    async fn insist(&mut self, api: usize, path: &str) -> Answer {
        loop {
            let url = format!("{}{path}", self.bases[api]);
            let answer = self.client.post(&url).await;
            if answer.status != 503 {
                return answer;
            }
            answer.problem(503, "unavailable");
            self.told.unavailable += 1;
        }
    }

    /// Fills carts of two items and buys them, each as another user and at the other process.
    async fn shop(mut self) -> Told {
        for (round, pair) in self.items.clone().chunks(2).enumerate() {
            if self.over.load(Ordering::Relaxed) {
                break;
            }
            let api = round % 2;
            let mut code = String::new();
            for item in pair {
                let path = format!("/checkout?user_id={}-{round}&id={item}", self.items[0]);
                let answer = self.insist(api, &path).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                self.told.checkouts += 1;
                code = answer.json()["code"].as_str().unwrap().to_owned();
            }
            let answer = self.insist(api, &format!("/purchase?code={code}")).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let items = answer.json()["purchased_items"].clone();
            let ids = items.as_array().unwrap().iter();
            let ids = ids.map(|item| item["id"].as_str().unwrap().to_owned());
            self.told.bought.insert(code, ids.collect());
            self.sold[api].fetch_add(1, Ordering::Relaxed);
        }
        self.told
    }
}

/// The master that has a sale's own slot.
fn master_of(sale: &str) -> usize {
    let crc = sale.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    });
    let slot = usize::from(crc % 16_384);
    (0..MASTERS)
        .find(|master| slot < 16_384 * (master + 1) / MASTERS)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_is_killed_under_load_and_the_sale_sells_on() {
    let mut stack = Stack::start_on(MASTERS, 3, ITEMS, limits(ITEMS), 2).await;
    let victim = master_of(stack.sale.id.as_str());
    assert!(stack.redis.masters().contains(&victim));
    let (sold, over) = (
        Arc::<[AtomicUsize; 2]>::default(),
        Arc::<AtomicBool>::default(),
    );
    let ids: Vec<String> = stack.catalog.iter().map(|item| item.id.clone()).collect();
    let shoppers: Vec<_> = ids
        .chunks(ids.len() / SHOPPERS)
        .map(|items| {
            let shopper = Shopper {
                client: Client::default(),
                bases: [0, 1].map(|api| stack.api(api).to_owned()),
                items: items.to_vec(),
                over: over.clone(),
                sold: sold.clone(),
                told: Told::default(),
            };
            tokio::spawn(shopper.shop())
        })
        .collect();
    let count = |api: usize| sold[api].load(Ordering::Relaxed);
    eventually("both processes sell", || async {
        count(0).min(count(1)) > 50
    })
    .await;

    stack.redis.kill(victim);
    let before = [count(0), count(1)];
    eventually("both sell again", || async {
        (0..2).all(|api| count(api) > before[api] + 100)
    })
    .await;
    assert!(!stack.redis.masters().contains(&victim), "its replica is");
    over.store(true, Ordering::Relaxed);
    let mut all = Told::default();
    for shopper in shoppers {
        let told = shopper.await.unwrap();
        all.checkouts += told.checkouts;
        all.unavailable += told.unavailable;
        all.bought.extend(told.bought);
    }
    assert!(
        all.unavailable > 0,
        "nobody noticed that the master was killed"
    );

    // Every item that was answered as bought was answered once, and is in Postgres.
    let answered: Vec<&String> = all.bought.values().flatten().collect();
    let distinct: BTreeSet<&String> = answered.iter().copied().collect();
    assert_eq!(answered.len(), distinct.len());
    let in_postgres: Vec<String> = stack
        .sql("SELECT array_agg(i.id) FROM purchases p JOIN items i ON i.idx = p.item_idx")
        .await;
    let in_postgres: BTreeSet<&String> = in_postgres.iter().collect();
    assert_eq!(in_postgres, distinct);
    // By Redis, item by item.
    let sold = stack.close_and_settle(&stack.sale.id).await;
    assert_eq!(sold as usize, distinct.len());
    // Every answered attempt is logged; those that were not answered may be.
    let attempts: i64 = stack.sql("SELECT count(*) FROM checkout_attempts").await;
    let possible = all.checkouts..=all.checkouts + all.unavailable;
    assert!(
        possible.contains(&attempts),
        "{attempts}, expected {possible:?}"
    );
}
