//! The life of a sale when something breaks in the middle of it: who comes next finds out where
//! it stands and goes on from there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use flashsale_engine::{Closed, ItemId, Limits, NoOrder, Sale, SaleId};
use jiff::{SignedDuration, Timestamp};
use support::{LIMITS, Stack, cart_tag, eventually, fill, request_id, user};

const SMALL: Limits = Limits {
    total: 10,
    ..LIMITS
};

/// A sale that begins in an hour.
fn to_come(stack: &Stack) -> Sale {
    let mut sale = stack.sale(10, SMALL);
    sale.window.starts_at = Timestamp::now() + SignedDuration::from_hours(1);
    sale.window.ends_at = sale.window.starts_at + SignedDuration::from_hours(1);
    sale.id = SaleId::new(&stack.name, sale.window.starts_at);
    sale
}

fn redis<T: redis::FromRedisValue>(stack: &Stack, command: &[&str]) -> T {
    let client = redis::Client::open(stack.redis.url()).unwrap();
    let mut cmd = redis::cmd(command[0]);
    cmd.arg(&command[1..]);
    cmd.query(&mut client.get_connection().unwrap()).unwrap()
}

fn keys_of(stack: &Stack, sale: &SaleId) -> Vec<String> {
    redis(stack, &["KEYS", &format!("*{sale}*")])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_counts_as_seeded_once_redis_holds_it_and_not_before() {
    let mut stack = Stack::start().await;
    let sale = stack.sale(10, SMALL);
    let catalog = flashsale_engine::Catalog::generate(10, sale.id.starts_label()).unwrap();
    stack.redis.kill(0);
    stack.admin.seed(&sale, &catalog).await.unwrap_err();
    let in_postgres = stack.admin.observe(&stack.name).await.unwrap();
    assert_eq!(in_postgres.len(), 1);
    assert_eq!(in_postgres[0].seeded_at, None);

    stack.redis.restart(0).unwrap();
    stack.redis.await_ok(Duration::from_secs(20)).unwrap();
    eventually("the sale is seeded", || async {
        stack.admin.seed(&sale, &catalog).await.is_ok()
    })
    .await;
    let seeded = stack.admin.observe(&stack.name).await.unwrap();
    assert!(seeded[0].seeded_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_that_broke_off_is_finished_by_the_next_one() {
    let stack = Stack::start().await;
    // It broke off after its first step: the mark is gone, Redis holds the sale.
    let sale = to_come(&stack);
    stack.seed(&sale).await;
    stack.execute("UPDATE sales SET seeded_at = NULL").await;
    assert!(!keys_of(&stack, &sale.id).is_empty());
    assert!(stack.admin.withdraw(&sale.id).await.unwrap());
    assert_eq!(keys_of(&stack, &sale.id), Vec::<String>::new());
    let rows: i64 = stack
        .sql("SELECT (SELECT count(*) FROM sales) + (SELECT count(*) FROM items)")
        .await;
    assert_eq!(rows, 0);

    // The row is gone and Redis was not told, as an earlier version could leave it.
    let mut sale = sale;
    sale.partitions = flashsale_engine::DEFAULT_PARTITIONS;
    stack.seed(&sale).await;
    stack.execute("DELETE FROM sales").await;
    assert!(stack.admin.withdraw(&sale.id).await.unwrap());
    assert_eq!(keys_of(&stack, &sale.id), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_sale_that_is_wanted_after_all_is_seeded_again() {
    let stack = Stack::start().await;
    let sale = to_come(&stack);
    let catalog = stack.seed(&sale).await;
    assert!(stack.admin.withdraw(&sale.id).await.unwrap());
    let report = stack.admin.seed(&sale, &catalog).await.unwrap();
    assert!(!report.already_seeded);
    let seeded = stack.admin.observe(&stack.name).await.unwrap();
    assert!(seeded[0].seeded_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ahead_closes_no_sale_early_and_a_person_may() {
    let stack = Stack::start().await;
    let sale = stack.sale(10, SMALL);
    let catalog = stack.seed(&sale).await;
    let service = stack.service().await;
    let code = fill(&service, "ann", &[&catalog.get(0).unwrap().id]).await;

    let Closed::NotYet { open_for } = stack.admin.close(&sale.id).await.unwrap() else {
        panic!("closed a sale that is open for an hour");
    };
    assert!(open_for > Duration::from_secs(3_000) && open_for < Duration::from_secs(3_600));
    service.purchase(&code, &request_id()).await.unwrap();

    let ended = stack.admin.end_early(&sale.id).await.unwrap();
    assert_eq!(ended, Closed::Closed { sold: 1 });
    let another = ItemId::parse(&catalog.get(1).unwrap().id).unwrap();
    let refused = service
        .checkout(&user("bob"), &another, &request_id())
        .await
        .unwrap();
    assert!(format!("{refused:?}").contains("SaleNotActive"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_sale_that_redis_lost_is_settled_all_the_same() {
    let stack = Stack::start().await;
    let sale = stack.sale(10, SMALL);
    let catalog = stack.seed(&sale).await;
    let service = stack.service().await;
    let code = fill(&service, "ann", &[&catalog.get(0).unwrap().id]).await;
    service.purchase(&code, &request_id()).await.unwrap();
    assert!(service.stop(Duration::from_secs(10)).await);
    stack.admin.end_early(&sale.id).await.unwrap();
    stack.redis.flush_all().unwrap();
    assert_eq!(stack.close_and_settle(&sale.id).await, 1);
    let settled = stack.admin.observe(&stack.name).await.unwrap();
    assert_eq!((settled[0].sold, settled[0].retired_at), (1, None));
    stack.admin.retire(&sale.id).await.unwrap();
    let retired = stack.admin.observe(&stack.name).await.unwrap();
    assert!(retired[0].retired_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_partition_that_redis_lost_comes_back_without_the_operator() {
    let stack = Stack::start().await;
    let sale = stack.sale(100, LIMITS);
    let catalog = stack.seed(&sale).await;
    let service = stack.service().await;
    let code = fill(&service, "ann", &[&catalog.get(0).unwrap().id]).await;
    eventually("the attempt is in Postgres", || async {
        stack
            .sql::<i64>("SELECT count(*) FROM checkout_attempts")
            .await
            == 1
    })
    .await;
    let tag = cart_tag(stack.redis.ports()[0], &sale, "ann");
    let keys: Vec<String> = redis(&stack, &["KEYS", &format!("{tag}:*")]);
    let mut unlink = vec!["UNLINK"];
    unlink.extend(keys.iter().map(String::as_str));
    let deleted: i64 = redis(&stack, &unlink);
    assert!(deleted > 0, "{keys:?}");

    // It says so, and brings the cart back.
    let answer = service.purchase(&code, &request_id()).await;
    assert!(matches!(answer, Err(NoOrder::Unavailable(_))), "{answer:?}");
    eventually("the code buys its cart", || async {
        matches!(service.purchase(&code, &request_id()).await,
                 Ok(order) if order.sold_count() == 1)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_a_process_could_not_load_is_not_taken_for_none() {
    let stack = Stack::start().await;
    let sale = stack.sale(10, SMALL);
    let catalog = stack.seed(&sale).await;
    let first = stack.service().await;
    let code = fill(&first, "ann", &[&catalog.get(5).unwrap().id]).await;
    // A process that starts while the catalogue cannot be read.
    stack
        .execute("ALTER TABLE items RENAME TO items_away")
        .await;
    let second = stack.service_not_ready().await;
    eventually("it says that it is not ready", || async {
        second
            .not_ready()
            .is_some_and(|why| why.contains("catalogue"))
    })
    .await;
    let item = ItemId::parse(&catalog.get(1).unwrap().id).unwrap();
    let checkout = second.checkout(&user("bob"), &item, &request_id()).await;
    assert!(checkout.is_err(), "{checkout:?}");
    let purchase = second.purchase(&code, &request_id()).await;
    assert!(
        matches!(purchase, Err(NoOrder::Unavailable(_))),
        "{purchase:?}"
    );
    let cart = second.cart(&code).await;
    assert!(matches!(cart, Err(NoOrder::Unavailable(_))), "{cart:?}");

    stack
        .execute("ALTER TABLE items_away RENAME TO items")
        .await;
    eventually("it serves the sale", || async {
        second.not_ready().is_none() && second.active().is_some()
    })
    .await;
    let order = second.purchase(&code, &request_id()).await;
    assert_eq!(order.unwrap().sold_count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_whose_partition_comes_late_keeps_its_attempts() {
    let stack = Stack::start().await;
    // Nobody made partitions, for example because the operator was down for days.
    stack
        .execute(
            "INSERT INTO checkout_attempts (attempt_id, attempted_at, sale_id, outcome, request_id)
             SELECT gen_random_uuid(), now() + n * interval '12 hours',
                    'shop.hourly.20261123T0800Z', 'unknown_item', 'r'
               FROM generate_series(-80, 4) AS n",
        )
        .await;
    let all: i64 = stack.sql("SELECT count(*) FROM checkout_attempts").await;
    assert_eq!(all, 85);
    stack.housekeeping(30).await;
    let in_time: i64 = stack
        .sql(
            "SELECT count(*) FROM checkout_attempts
              WHERE attempted_at >= (now() AT TIME ZONE 'UTC')::date - 30",
        )
        .await;
    let (all, late): (i64, i64) = (
        stack.sql("SELECT count(*) FROM checkout_attempts").await,
        stack
            .sql(
                "SELECT count(*) FROM attempts a
                   JOIN pg_class c ON c.oid = a.tableoid AND c.relname ~ '_default$'
                  WHERE a.attempted_at >= (now() AT TIME ZONE 'UTC')::date AT TIME ZONE 'UTC'",
            )
            .await,
    );
    assert_eq!(
        (all, late),
        (in_time, 0),
        "kept what is to be kept, in its day"
    );
    assert!(in_time > 60, "{in_time}");
    // And once more, with everything in its place.
    stack.housekeeping(30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_come_twice_from_a_dead_process_are_logged_once() {
    let stack = Stack::start().await;
    stack.seed(&stack.sale(10, SMALL)).await;
    // A client library sent an entry twice, then the process died; one more came after it.
    let at_us = Timestamp::now().as_microsecond() - 60_000_000;
    let line = |n: u32| {
        let us = "\u{1f}";
        format!("{n:x}{us}{at_us}{us}ann{us}none{us}r-{n}{us}{us}unknown_item")
    };
    let stream = format!("{{{}}}:attempts", stack.name);
    for (n, lines) in [
        (1, format!("{}\u{1e}{}", line(1), line(2))),
        (2, format!("{}\u{1e}{}", line(1), line(2))),
        (3, line(3)),
    ] {
        let id = format!("{}-{n}", at_us / 1_000);
        redis::<String>(&stack, &["XADD", &stream, &id, "v", "1", "b", &lines]);
    }
    let _shop = stack.service().await;
    eventually("the stream is settled and empty", || async {
        redis::<i64>(&stack, &["XLEN", &stream]) == 0
    })
    .await;
    let logged: Vec<String> = stack
        .sql("SELECT array_agg(request_id ORDER BY request_id) FROM checkout_attempts")
        .await;
    assert_eq!(logged, ["r-1", "r-2", "r-3"]);
}
