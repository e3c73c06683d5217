//! A whole sale on the fakes, through the engine, under paused time: seed, open, checkouts,
//! purchases, close, settle, audit, retire.

use std::sync::Arc;
use std::time::Duration;

use flashsale_engine::postgres::operations::Postgres;
use flashsale_engine::{
    AttemptOutcome, Checkout, CheckoutCode, Closed, ItemId, ItemOutcome, Order, Refusal, UserId,
};
use flashsale_fakes::thread_cpu_time;
use jiff::SignedDuration;

use crate::harness::{Harness, ITEMS, Service, until};

const USERS: u32 = 25;

/// A user puts three items into a cart and buys it. Many users want the same items.
async fn buy(harness: &Harness, service: &Service, user: u32) -> Order {
    let id = UserId::parse(&format!("user-{user}")).unwrap();
    let mut code = None;
    for n in 0..3 {
        let item = harness.catalog.get((user + 7 * n) % ITEMS).unwrap();
        let item = ItemId::parse(&item.id).unwrap();
        match service
            .checkout(&id, &item, &harness.request())
            .await
            .unwrap()
        {
            Checkout::InCart { code: text, .. } => code = CheckoutCode::parse(&text),
            Checkout::Refused(Refusal::AlreadySold | Refusal::SoldOut) => {}
            Checkout::Refused(other) => panic!("{other:?}"),
        }
    }
    let code = code.expect("one item is free");
    service.purchase(&code, &harness.request()).await.unwrap()
}

/// Runs the sale from its seeding to its end; returns it with what its users got.
async fn run_sale() -> (Arc<Harness>, Vec<Order>) {
    let harness = Arc::new(Harness::new());
    let (admin, id) = (harness.admin(), harness.sale.id.clone());
    admin.seed(&harness.sale, &harness.catalog).await.unwrap();
    let service = harness.service().await;
    until("the service is ready", || service.not_ready().is_none()).await;
    assert!(service.active().is_none(), "its window has not begun");
    until("the sale opens", || service.active().is_some()).await;
    let begins = harness.sale.window.starts_at;
    assert!(harness.ambient.clock.now().duration_since(begins) < SignedDuration::from_secs(1));

    let mut buyers = tokio::task::JoinSet::new();
    for user in 0..USERS {
        let (harness, service) = (harness.clone(), service.clone());
        buyers.spawn(async move { buy(&harness, &service, user).await });
    }
    let orders = buyers.join_all().await;

    let closed = admin.close(&id).await.unwrap();
    assert!(matches!(closed, Closed::NotYet { .. }), "{closed:?}");
    until("the window ends", || service.active().is_none()).await;
    let closed = admin.close(&id).await.unwrap();
    assert_eq!(closed, Closed::Closed { sold: 30 });
    let mut settlement = admin.settle(&id).await.unwrap();
    while !settlement.settled {
        tokio::time::sleep(Duration::from_secs(1)).await;
        settlement = admin.settle(&id).await.unwrap();
    }
    assert_eq!(settlement.sold, 30);
    assert!(service.stop(Duration::from_secs(10)).await);
    admin.retire(&id).await.unwrap();
    (harness, orders)
}

#[tokio::test(start_paused = true)]
async fn a_whole_sale_runs_on_the_fakes() {
    let before = thread_cpu_time();
    let (harness, orders) = run_sale().await;
    let id = &harness.sale.id;
    let is_sold = |outcome: &ItemOutcome| matches!(outcome, ItemOutcome::Sold { .. });
    let results = orders.iter().flat_map(|order| &order.items);
    let sold = results.filter(|(_, outcome)| is_sold(outcome)).count();
    assert_eq!(sold, 30, "as many as the sale may sell");
    let purchases = harness.postgres.read_purchases(id, 0).await.unwrap();
    assert_eq!(purchases.len(), 30);
    let record = harness.postgres.read_sale(id).await.unwrap().unwrap();
    assert!(record.settled_at.is_some() && record.retired_at.is_some());
    let attempts = harness.postgres.attempts();
    assert_eq!(
        attempts.len() as u32,
        USERS * 3,
        "every attempt is in the log"
    );
    let added = attempts
        .iter()
        .filter(|a| a.outcome == AttemptOutcome::Added);
    assert!(added.count() >= orders.len());
    let left = harness.keys_with(&format!("{{{id}")).await;
    assert!(left.is_empty(), "left in Redis: {left:?}");
    let took = thread_cpu_time() - before;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

/// Nothing in the fakes depends on chance or on the machine's time.
#[test]
fn a_sale_that_runs_again_runs_the_same() {
    let outcome = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (harness, orders) = run_sale().await;
            (orders, harness.postgres.attempts())
        })
    };
    let first = outcome();
    for _ in 0..3 {
        assert_eq!(outcome(), first);
    }
}
