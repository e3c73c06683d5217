//! A replica takes over a cart partition without its last writes, on real servers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use flashsale_engine::{Catalog, CheckoutCode, ItemId, NoOrder, Sale};
use support::{LIMITS, Service, Stack, cart_tag, eventually, fill, request_id, user};

const MASTER: usize = 0;
const REPLICA: usize = 1;

/// What a replica answers to a command that reads.
fn on_replica<T: redis::FromRedisValue>(stack: &Stack, words: &[&str]) -> T {
    let urls = stack.redis.url();
    let url = urls.split(',').nth(REPLICA).unwrap();
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_connection().unwrap();
    redis::cmd("READONLY").exec(&mut connection).unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query(&mut connection).unwrap()
}

async fn logged(stack: &Stack, attempts: i64) {
    eventually("the attempts are in Postgres", || async {
        stack
            .sql::<i64>("SELECT count(*) FROM checkout_attempts")
            .await
            == attempts
    })
    .await;
}

/// The replica gets nothing that is written from now on.
fn isolate_replica(stack: &mut Stack) {
    stack.redis.pause(REPLICA);
    stack
        .redis
        .ask_node(MASTER, &["CLIENT", "KILL", "TYPE", "replica"])
        .unwrap();
}

/// The replica becomes the master of all slots, with what it has.
async fn promote(stack: &mut Stack) {
    stack.redis.kill(MASTER);
    stack.redis.resume(REPLICA);
    let redis = &stack.redis;
    eventually("the replica takes over", || async {
        let answer = redis.ask_node(REPLICA, &["CLUSTER", "FAILOVER", "TAKEOVER"]);
        answer.is_ok()
    })
    .await;
}

/// Repeats a purchase until it is answered; returns how many items it got.
async fn purchase_at_last(service: &Service, code: &CheckoutCode) -> usize {
    let mut sold = None;
    let started = std::time::Instant::now();
    while sold.is_none() {
        match service.purchase(code, &request_id()).await {
            Ok(order) => sold = Some(order.sold_count()),
            Err(NoOrder::Unavailable(error)) => {
                assert!(started.elapsed() < Duration::from_secs(20), "{error:?}");
            }
            Err(other) => panic!("{code}: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sold.unwrap()
}

struct Lost {
    stack: Stack,
    sale: Sale,
    catalog: Catalog,
    service: std::sync::Arc<Service>,
    /// A cart of which the new master misses the second item.
    anns: CheckoutCode,
    /// A code that it misses.
    bobs: CheckoutCode,
}

async fn lose_the_last_writes() -> Lost {
    let mut stack = Stack::start_on(1, 1).await;
    let sale = stack.sale(100, LIMITS);
    let catalog = stack.seed(&sale).await;
    let service = stack.service().await;
    let id = |n: u32| catalog.get(n).unwrap().id.as_str();
    let anns = fill(&service, "ann", &[id(0)]).await;
    logged(&stack, 1).await;
    let key_of =
        |name: &str, key: &str| format!("{}:{key}", cart_tag(stack.redis.ports()[0], &sale, name));
    eventually("the replica has the first item", || async {
        on_replica::<bool>(&stack, &["HEXISTS", &key_of("ann", "carts"), "ann"])
    })
    .await;
    isolate_replica(&mut stack);
    assert_eq!(fill(&service, "ann", &[id(1)]).await, anns);
    let bobs = fill(&service, "bob", &[id(2)]).await;
    logged(&stack, 3).await;
    promote(&mut stack).await;
    Lost {
        stack,
        sale,
        catalog,
        service,
        anns,
        bobs,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn carts_are_whole_before_anyone_buys_them_from_the_new_master() {
    let lost = lose_the_last_writes().await;
    let service = &lost.service;
    let (anns, bobs) = tokio::join!(
        purchase_at_last(service, &lost.anns),
        purchase_at_last(service, &lost.bobs),
    );
    assert_eq!((anns, bobs), (2, 1));
    assert!(service.stop(Duration::from_secs(10)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_checkout_on_the_new_master_has_the_code_from_before() {
    let lost = lose_the_last_writes().await;
    let item = ItemId::parse(&lost.catalog.get(3).unwrap().id).unwrap();
    let bob = user("bob");
    eventually("bob's checkout is answered", || async {
        lost.service
            .checkout(&bob, &item, &request_id())
            .await
            .is_ok()
    })
    .await;
    assert_eq!(purchase_at_last(&lost.service, &lost.bobs).await, 2);
    // Both masters name themselves: what the old one was is not what holds the carts now.
    let meta = format!(
        "{}:meta",
        cart_tag(lost.stack.redis.ports()[1], &lost.sale, "bob")
    );
    let holder: String = on_replica(&lost.stack, &["HGET", &meta, "master"]);
    let info: String = on_replica(&lost.stack, &["INFO", "replication"]);
    assert!(
        info.contains(&format!("master_replid:{holder}")),
        "{holder} {info}"
    );
}
