//! SIGTERM: no accepted request is dropped, and Postgres has everything that was answered.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use support::http_client::NoAnswer;
use support::{Answer, Client, Stack, eventually, limits};
use tokio::task::JoinHandle;

const ITEMS: u32 = 20_000;
const CLIENTS: usize = 24;

/// The pause between two carts of a buyer: the items must last until the process has ended.
const THINK_TIME: std::time::Duration = std::time::Duration::from_millis(20);

/// A client with one connection. It changes the process only after `Connection: close` or a refused
/// connection.
struct Buyer {
    client: Client,
    bases: [String; 2],
    at: usize,
    /// Answers by process.
    answered: Arc<[AtomicUsize; 2]>,
}

impl Buyer {
    /// Sends a request until there is a response. A request without a response on an open
    /// connection fails the test.
    async fn post(&mut self, path: &str) -> Answer {
        for _ in 0..3 {
            let url = format!("{}{path}", self.bases[self.at]);
            match self.client.try_post(&url).await {
                Ok(answer) => {
                    self.answered[self.at].fetch_add(1, Ordering::Relaxed);
                    if answer.closes() {
                        self.at = 1 - self.at;
                    }
                    return answer;
                }
                Err(NoAnswer::Refused(_)) => self.at = 1 - self.at,
                Err(lost) => panic!("dropped: {url}: {lost:?}"),
            }
        }
        panic!("both processes refuse connections");
    }
}

/// What the responses to a buyer contained.
#[derive(Default)]
struct Results {
    attempts: i64,
    bought: BTreeSet<String>,
}

/// Puts two items into a cart and buys them, again and again.
async fn buy(
    mut buyer: Buyer,
    number: usize,
    items: Vec<String>,
    over: Arc<AtomicBool>,
) -> Results {
    let mut results = Results::default();
    for (n, pair) in items.chunks(2).enumerate() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let mut code = String::new();
        for item in pair {
            let path = format!("/checkout?user_id=user-{number}-{n}&id={item}");
            let answer = buyer.post(&path).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            results.attempts += 1;
            code = answer.json()["code"].as_str().unwrap().to_owned();
        }
        let answer = buyer.post(&format!("/purchase?code={code}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["total_purchased"], pair.len(), "{answer:?}");
        results.bought.extend(pair.iter().cloned());
        tokio::time::sleep(THINK_TIME).await;
    }
    results
}

/// All buyers of a test.
struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<[AtomicUsize; 2]>,
    buyers: Vec<JoinHandle<Results>>,
}

impl Load {
    fn start(stack: &Stack) -> Self {
        let answered: Arc<[AtomicUsize; 2]> = Arc::default();
        let over = Arc::new(AtomicBool::new(false));
        let ids: Vec<String> = stack.catalog.iter().map(|item| item.id.clone()).collect();
        let parts = ids.chunks(ITEMS as usize / CLIENTS).take(CLIENTS);
        let buyers = parts.enumerate().map(|(number, items)| {
            let buyer = Buyer {
                client: Client::default(),
                bases: [stack.api(0).to_owned(), stack.api(1).to_owned()],
                at: number % 2,
                answered: answered.clone(),
            };
            tokio::spawn(buy(buyer, number, items.to_vec(), over.clone()))
        });
        Self {
            buyers: buyers.collect(),
            over,
            answered,
        }
    }

    /// Responses of a process so far.
    fn answers(&self, api: usize) -> usize {
        self.answered[api].load(Ordering::Relaxed)
    }

    async fn stop(&mut self) -> Results {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Results::default();
        for buyer in self.buyers.drain(..) {
            let results = buyer.await.unwrap();
            all.attempts += results.attempts;
            all.bought.extend(results.bought);
        }
        all
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_loses_nothing() {
    let mut stack = Stack::start(ITEMS, limits(ITEMS), 0).await;
    for _ in 0..2 {
        stack.start_api_with(&["--drain-seconds", "2"]).await;
    }
    let mut load = Load::start(&stack);
    eventually("both processes are under load", || async {
        load.answers(0) > 100 && load.answers(1) > 100
    })
    .await;

    stack.terminate_api(0);
    assert_eq!(
        stack.apis.exit_code(0).await,
        Some(0),
        "{}",
        stack.apis.log(0)
    );
    let at_the_end = (load.answers(0), load.answers(1));
    eventually("the other process serves all buyers", || async {
        load.answers(1) > at_the_end.1 + 200
    })
    .await;
    let Results { attempts, bought } = load.stop().await;
    assert_eq!(
        load.answers(0),
        at_the_end.0,
        "an ended process answers nothing"
    );

    // Postgres has everything that was answered, also the last responses of the ended process.
    stack
        .awaits_count("SELECT count(*) FROM checkout_attempts", attempts)
        .await;
    let in_postgres: Vec<String> = stack
        .sql("SELECT array_agg(i.id) FROM purchases p JOIN items i ON i.idx = p.item_idx")
        .await;
    let in_postgres: BTreeSet<String> = in_postgres.into_iter().collect();
    assert_eq!(in_postgres, bought);
    let sold = stack.close_and_settle(&stack.sale.id).await;
    assert_eq!(sold as usize, bought.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_ends_before_the_listener() {
    let mut stack = Stack::start(100, limits(100), 0).await;
    stack.start_api_with(&["--drain-seconds", "2"]).await;
    stack.fill(0, "ann", &[0, 1]).await;
    let ready = format!("{}/readyz", stack.internal(0));
    let live = format!("{}/livez", stack.internal(0));
    let url = format!("{}/checkout?user_id=bob&id={}", stack.api(0), stack.item(2));
    assert_eq!(stack.client().get(&ready).await.status, 200);

    stack.terminate_api(0);
    eventually("readiness ends", || async {
        stack.client().get(&ready).await.status == 503
    })
    .await;
    // Load balancers need a moment to notice. Meanwhile a new connection is served, with
    // `Connection: close`.
    let answer = Client::default().post(&url).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.closes(), "{answer:?}");
    assert_eq!(stack.client().get(&live).await.status, 200);

    assert_eq!(
        stack.apis.exit_code(0).await,
        Some(0),
        "{}",
        stack.apis.log(0)
    );
    let refused = Client::default().try_post(&url).await;
    assert!(matches!(refused, Err(NoAnswer::Refused(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_progress_are_finished_and_a_silent_connection_does_not_delay_the_end() {
    let mut stack = Stack::start(100, limits(100), 0).await;
    // The limit of the wait for the rest of the half request.
    let flags = ["--request-timeout-seconds", "4"];
    stack.start_api_with(&flags).await;
    let code = stack.fill(0, "ann", &[0]).await;
    let _silent = support::raw_tcp::Raw::connect(stack.api(0)).await;
    let mut half = support::raw_tcp::Raw::connect(stack.api(0)).await;
    half.send("GET /health HT").await;

    // Redis is paused, so that the purchase is in progress at the signal.
    stack.redis.pause(0);
    let url = format!("{}/purchase?code={code}", stack.api(0));
    let purchase = tokio::spawn(async move { Client::default().try_post(&url).await });
    let metrics = format!("{}/metrics", stack.internal(0));
    eventually("the purchase is in progress", || async {
        let metrics = stack.client().get(&metrics).await;
        metrics.text().contains("\npurchase_attempts_total 1\n")
    })
    .await;
    stack.terminate_api(0);
    let ready = format!("{}/readyz", stack.internal(0));
    eventually("the process drains", || async {
        stack.client().get(&ready).await.status == 503
    })
    .await;
    stack.redis.resume(0);
    let answer = purchase.await.unwrap().unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        stack.apis.exit_code(0).await,
        Some(0),
        "{}",
        stack.apis.log(0)
    );
    let sold: i64 = stack.sql("SELECT count(*) FROM purchases").await;
    assert_eq!(sold, 1);

    // The last attempts are settled before the end, because no other process could settle them.
    let last = stack.start_api().await;
    for user in 0..20 {
        stack.fill(last, &format!("user-{user}"), &[1]).await;
    }
    stack.terminate_api(last);
    assert_eq!(stack.apis.exit_code(last).await, Some(0));
    let attempts: i64 = stack.sql("SELECT count(*) FROM checkout_attempts").await;
    assert_eq!(attempts, 21);
}
