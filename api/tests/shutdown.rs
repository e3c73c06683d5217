//! SIGTERM: no request that was taken is dropped, and what was answered is in Postgres.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use support::http_client::NoAnswer;
use support::{Answer, Client, Stack, eventually, limits};

const ITEMS: u32 = 20_000;
const CLIENTS: usize = 24;

/// Between two carts of a shopper: the items have to last until the process has ended.
const THINK: std::time::Duration = std::time::Duration::from_millis(20);

/// A client with one connection of its own, which changes the process only where it is told
/// that its connection closes, or finds that there is none to be had.
struct Shopper {
    client: Client,
    bases: [String; 2],
    at: usize,
    /// Answers by process.
    answered: Arc<[AtomicUsize; 2]>,
}

impl Shopper {
    /// Asks until there is an answer; a request that was sent on an open connection and not
    /// answered fails the test.
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

/// What a shopper was told.
#[derive(Default)]
struct Told {
    attempts: i64,
    bought: BTreeSet<String>,
}

/// Puts two items into a cart and buys them, again and again.
async fn shop(
    mut shopper: Shopper,
    number: usize,
    items: Vec<String>,
    over: Arc<AtomicBool>,
) -> Told {
    let mut told = Told::default();
    for (round, pair) in items.chunks(2).enumerate() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let mut code = String::new();
        for item in pair {
            let path = format!("/checkout?user_id=user-{number}-{round}&id={item}");
            let answer = shopper.post(&path).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            told.attempts += 1;
            code = answer.json()["code"].as_str().unwrap().to_owned();
        }
        let answer = shopper.post(&format!("/purchase?code={code}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["total_purchased"], pair.len(), "{answer:?}");
        told.bought.extend(pair.iter().cloned());
        tokio::time::sleep(THINK).await;
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_loses_nothing() {
    let mut stack = Stack::start(ITEMS, limits(ITEMS), 0).await;
    for _ in 0..2 {
        stack.start_api_with(&["--drain-seconds", "2"]).await;
    }
    let answered: Arc<[AtomicUsize; 2]> = Arc::default();
    let over = Arc::new(AtomicBool::new(false));
    let ids: Vec<String> = stack.catalog.iter().map(|item| item.id.clone()).collect();
    let shoppers: Vec<_> = ids
        .chunks(ITEMS as usize / CLIENTS)
        .take(CLIENTS)
        .enumerate()
        .map(|(number, items)| {
            let shopper = Shopper {
                client: Client::default(),
                bases: [stack.api(0).to_owned(), stack.api(1).to_owned()],
                at: number % 2,
                answered: answered.clone(),
            };
            tokio::spawn(shop(shopper, number, items.to_vec(), over.clone()))
        })
        .collect();
    let answers = |of: usize| answered[of].load(Ordering::Relaxed);
    eventually("both processes are under load", || async {
        answers(0) > 100 && answers(1) > 100
    })
    .await;

    stack.terminate_api(0);
    assert_eq!(
        stack.apis.exit_code(0).await,
        Some(0),
        "{}",
        stack.apis.log(0)
    );
    let at_the_end = (answers(0), answers(1));
    eventually("the other process serves everybody", || async {
        answers(1) > at_the_end.1 + 200
    })
    .await;
    over.store(true, Ordering::Relaxed);
    let (mut attempts, mut bought) = (0, BTreeSet::new());
    for shopper in shoppers {
        let told = shopper.await.unwrap();
        attempts += told.attempts;
        bought.extend(told.bought);
    }
    assert_eq!(answers(0), at_the_end.0, "an ended process answers nothing");

    // Everything answered is in Postgres, also what the ended process had answered last.
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
    // Load balancers need a moment to see it: meanwhile a new connection is still served, and
    // told to be the last one.
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
async fn what_is_on_its_way_is_finished_and_a_silent_connection_does_not_hold_the_end() {
    let mut stack = Stack::start(100, limits(100), 0).await;
    // The half request is waited for so long, and no longer.
    let flags = ["--request-timeout-seconds", "4"];
    stack.start_api_with(&flags).await;
    let code = stack.fill(0, "ann", &[0]).await;
    let _silent = support::raw_tcp::Raw::connect(stack.api(0)).await;
    let mut half = support::raw_tcp::Raw::connect(stack.api(0)).await;
    half.send("GET /health HT").await;

    // Redis stands still, so that the purchase is on its way when the signal comes.
    stack.redis.pause(0);
    let url = format!("{}/purchase?code={code}", stack.api(0));
    let purchase = tokio::spawn(async move { Client::default().try_post(&url).await });
    let metrics = format!("{}/metrics", stack.internal(0));
    eventually("the purchase is on its way", || async {
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

    // What was answered last is settled before the end: nobody is left to do it later.
    let last = stack.start_api().await;
    for user in 0..20 {
        stack.fill(last, &format!("user-{user}"), &[1]).await;
    }
    stack.terminate_api(last);
    assert_eq!(stack.apis.exit_code(last).await, Some(0));
    let attempts: i64 = stack.sql("SELECT count(*) FROM checkout_attempts").await;
    assert_eq!(attempts, 21);
}
