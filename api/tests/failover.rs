//! A Redis master is killed under load. Its replica takes over, without the latest writes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use support::{Answer, Client, Stack, eventually, limits};
use tokio::task::JoinHandle;

const ITEMS: u32 = 20_000;
const BUYERS: usize = 8;
const MASTERS: usize = 3;

/// A client that buys items which no other buyer takes.
struct Buyer {
    client: Client,
    bases: [String; 2],
    items: Vec<String>,
    over: Arc<AtomicBool>,
    /// Purchases with success, of all buyers, by process.
    sold: Arc<[AtomicUsize; 2]>,
    results: Results,
}

/// What the responses to a buyer contained.
#[derive(Default)]
struct Results {
    checkouts: i64,
    unavailable: i64,
    /// Items by the code that bought them.
    bought: BTreeMap<String, BTreeSet<String>>,
}

impl Buyer {
    /// Sends a request until the response is not 503.
    async fn retry(&mut self, api: usize, path: &str) -> Answer {
        loop {
            let url = format!("{}{path}", self.bases[api]);
            let answer = self.client.post(&url).await;
            if answer.status != 503 {
                return answer;
            }
            answer.problem(503, "unavailable");
            self.results.unavailable += 1;
        }
    }

    /// Fills carts of two items and buys them, each as another user and at the other process.
    async fn buy(mut self) -> Results {
        for (n, pair) in self.items.clone().chunks(2).enumerate() {
            if self.over.load(Ordering::Relaxed) {
                break;
            }
            let api = n % 2;
            let mut code = String::new();
            for item in pair {
                let path = format!("/checkout?user_id={}-{n}&id={item}", self.items[0]);
                let answer = self.retry(api, &path).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                self.results.checkouts += 1;
                code = answer.json()["code"].as_str().unwrap().to_owned();
            }
            let answer = self.retry(api, &format!("/purchase?code={code}")).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let items = answer.json()["purchased_items"].clone();
            let ids = items.as_array().unwrap().iter();
            let ids = ids.map(|item| item["id"].as_str().unwrap().to_owned());
            self.results.bought.insert(code, ids.collect());
            self.sold[api].fetch_add(1, Ordering::Relaxed);
        }
        self.results
    }
}

/// All buyers of the test.
struct Load {
    over: Arc<AtomicBool>,
    sold: Arc<[AtomicUsize; 2]>,
    buyers: Vec<JoinHandle<Results>>,
}

impl Load {
    fn start(stack: &Stack) -> Self {
        let (sold, over) = (
            Arc::<[AtomicUsize; 2]>::default(),
            Arc::<AtomicBool>::default(),
        );
        let ids: Vec<String> = stack.catalog.iter().map(|item| item.id.clone()).collect();
        let buyers = ids.chunks(ids.len() / BUYERS).map(|items| {
            let buyer = Buyer {
                client: Client::default(),
                bases: [0, 1].map(|api| stack.api(api).to_owned()),
                items: items.to_vec(),
                over: over.clone(),
                sold: sold.clone(),
                results: Results::default(),
            };
            tokio::spawn(buyer.buy())
        });
        Self {
            buyers: buyers.collect(),
            over,
            sold,
        }
    }

    /// Purchases with success so far, by process.
    fn sold(&self) -> [usize; 2] {
        [0, 1].map(|api| self.sold[api].load(Ordering::Relaxed))
    }

    async fn stop(self) -> Results {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Results::default();
        for buyer in self.buyers {
            let results = buyer.await.unwrap();
            all.checkouts += results.checkouts;
            all.unavailable += results.unavailable;
            all.bought.extend(results.bought);
        }
        all
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

/// Every item that a response named as bought was named once and is in Postgres and in Redis.
async fn bought_items_are_stored(stack: &Stack, results: &Results) {
    let answered: Vec<&String> = results.bought.values().flatten().collect();
    let distinct: BTreeSet<&String> = answered.iter().copied().collect();
    assert_eq!(answered.len(), distinct.len());
    let in_postgres: Vec<String> = stack
        .sql("SELECT array_agg(i.id) FROM purchases p JOIN items i ON i.idx = p.item_idx")
        .await;
    let in_postgres: BTreeSet<&String> = in_postgres.iter().collect();
    assert_eq!(in_postgres, distinct);
    let sold = stack.close_and_settle(&stack.sale.id).await;
    assert_eq!(sold as usize, distinct.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_is_killed_under_load_and_the_sale_sells_on() {
    let mut stack = Stack::start_on(MASTERS, 3, ITEMS, limits(ITEMS), 2).await;
    let victim = master_of(stack.sale.id.as_str());
    assert!(stack.redis.masters().contains(&victim));
    let load = Load::start(&stack);
    eventually("both processes sell", || async {
        load.sold().iter().all(|sold| *sold > 50)
    })
    .await;

    stack.redis.kill(victim);
    let before = load.sold();
    eventually("both sell again", || async {
        let now = load.sold();
        (0..2).all(|api| now[api] > before[api] + 100)
    })
    .await;
    assert!(!stack.redis.masters().contains(&victim), "its replica is");
    let all = load.stop().await;
    assert!(
        all.unavailable > 0,
        "no request failed while the master was down"
    );
    bought_items_are_stored(&stack, &all).await;
    // Every answered attempt is logged; attempts without a response may be.
    let attempts: i64 = stack.sql("SELECT count(*) FROM checkout_attempts").await;
    let possible = all.checkouts..=all.checkouts + all.unavailable;
    assert!(
        possible.contains(&attempts),
        "{attempts}, expected {possible:?}"
    );
}
