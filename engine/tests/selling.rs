//! A sale as a service sees it, on a real Redis and a real Postgres.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;

use flashsale_engine::redis::commands::Redis as _;
use flashsale_engine::{
    BackendError, Certificates, Checkout, CodeSuffix, ItemId, ItemOutcome, Limits, Metrics,
    NoOrder, NothingSold, RedisCluster, Refusal, SystemClock, SystemRandom,
};
use support::{LIMITS, Service, Stack, eventually, fill, request_id, user};

async fn ask(service: &Service, name: &str, item: &ItemId) -> Checkout {
    let request_id = request_id();
    service
        .checkout(&user(name), item, &request_id)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_is_bought_once_and_answers_the_same_for_ever() {
    let stack = Stack::start().await;
    let sale = stack.sale(100, LIMITS);
    let catalog = stack.seed(&sale).await;
    let service = stack.service().await;
    let ids: Vec<&str> = catalog.iter().map(|item| item.id.as_str()).collect();

    // The code stays the same until it is bought, and an item counts once.
    let code = fill(&service, "ann", &[ids[0], ids[1], ids[1]]).await;
    assert_eq!(service.cart(&code).await.unwrap().items.len(), 2);
    let order = service.purchase(&code, &request_id()).await.unwrap();
    assert_eq!((order.sold_count(), order.replayed), (2, false));
    let again = service.purchase(&code, &request_id()).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.items, order.items);

    // The next checkout opens a new cart; what is sold is refused from memory.
    let next = fill(&service, "ann", &[ids[2]]).await;
    assert_ne!(next, code);
    let item = ItemId::parse(ids[0]).unwrap();
    eventually("the feed tells that the item is sold", || async {
        ask(&service, "bob", &item).await == Checkout::Refused(Refusal::AlreadySold)
    })
    .await;

    assert!(service.stop(std::time::Duration::from_secs(10)).await);
    assert_eq!(stack.close_and_settle(&sale.id).await, 2);
    let logged: i64 = stack
        .sql("SELECT count(*) FROM checkout_attempts WHERE outcome = 'added'")
        .await;
    assert_eq!(logged, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_left_for_fewer_items_than_the_cart_sells_the_first_free_ones() {
    let stack = Stack::start().await;
    let limits = Limits {
        per_user: 3,
        per_checkout: 4,
        total: 100,
    };
    let sale = stack.sale(100, limits);
    let catalog = stack.seed(&sale).await;
    let service = stack.service().await;
    let ids: Vec<&str> = catalog.iter().map(|item| item.id.as_str()).collect();

    let taken = fill(&service, "bob", &[ids[1]]).await;
    let code = fill(&service, "ann", &ids[..4]).await;
    let more = fill(&service, "cid", &[ids[0]]).await;
    let fifth = ItemId::parse(ids[4]).unwrap();
    let full = ask(&service, "ann", &fifth).await;
    assert_eq!(full, Checkout::Refused(Refusal::CartFull));

    service.purchase(&taken, &request_id()).await.unwrap();
    let first = service.purchase(&code, &request_id()).await.unwrap();
    let outcomes: Vec<&str> = first
        .items
        .iter()
        .map(|(_, outcome)| outcome.as_str())
        .collect();
    assert_eq!(outcomes, ["sold", "already_sold", "sold", "sold"]);

    // All sold by others: nothing to buy, and that is the code's outcome.
    let nothing = service.purchase(&more, &request_id()).await.unwrap();
    assert_eq!(
        (nothing.sold_count(), nothing.refusal()),
        (0, NothingSold::AlreadySold)
    );

    // A full user is refused from memory.
    eventually("the feed tells that ann is full", || async {
        ask(&service, "ann", &fifth).await == Checkout::Refused(Refusal::LimitReached)
    })
    .await;
    assert!(service.stop(std::time::Duration::from_secs(10)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_below_the_catalogue_is_kept_to_the_item() {
    let stack = Stack::start().await;
    let limits = Limits {
        per_user: 10,
        per_checkout: 10,
        total: 5,
    };
    let sale = stack.sale(100, limits);
    let catalog = stack.seed(&sale).await;
    let service = stack.service().await;
    let ids: Vec<&str> = catalog.iter().map(|item| item.id.as_str()).collect();
    let ann = fill(&service, "ann", &ids[..3]).await;
    let bob = fill(&service, "bob", &ids[3..7]).await;
    assert_eq!(
        service
            .purchase(&ann, &request_id())
            .await
            .unwrap()
            .sold_count(),
        3
    );
    let order = service.purchase(&bob, &request_id()).await.unwrap();
    let outcomes: Vec<&str> = order
        .items
        .iter()
        .map(|(_, outcome)| outcome.as_str())
        .collect();
    assert_eq!(outcomes, ["sold", "sold", "limit_reached", "limit_reached"]);
    let slots: Vec<i32> = stack
        .sql("SELECT array_agg(sale_slot ORDER BY sale_slot) FROM purchases")
        .await;
    assert_eq!(slots, [1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgres_decides_corrects_the_outcome_and_redis() {
    let stack = Stack::start().await;
    let sale = stack.sale(100, LIMITS);
    let catalog = stack.seed(&sale).await;
    let service = stack.service().await;
    let ids: Vec<&str> = catalog.iter().map(|item| item.id.as_str()).collect();
    // Somebody bought the first item, and Redis has forgotten it (an old replica took over).
    stack
        .execute("INSERT INTO purchases SELECT id, 0, 'eve', 1, NULL, 'CHK-lost', now() FROM sales")
        .await;
    let code = fill(&service, "ann", &ids[..2]).await;
    let order = service.purchase(&code, &request_id()).await.unwrap();
    let outcomes: Vec<ItemOutcome> = order.items.iter().map(|(_, outcome)| *outcome).collect();
    assert_eq!(outcomes[0], ItemOutcome::AlreadySold);
    assert!(matches!(outcomes[1], ItemOutcome::Sold { .. }));

    // Redis gives the corrected outcome from now on, and the user's quota is right again.
    let again = service.purchase(&code, &request_id()).await.unwrap();
    assert_eq!(again.items, order.items);
    let open = service.active().unwrap();
    eventually("the view is repaired", || async {
        open.is_sold(0) && open.bought("ann") == 1
    })
    .await;
    let rest = fill(&service, "ann", &ids[2..11]).await;
    let rest = service.purchase(&rest, &request_id()).await.unwrap();
    assert_eq!(rest.sold_count(), 9, "ann may have ten in all");
    assert!(service.stop(std::time::Duration::from_secs(10)).await);
    assert_eq!(stack.close_and_settle(&sale.id).await, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_nobody_knows_and_one_of_a_closed_sale() {
    let stack = Stack::start().await;
    let sale = stack.sale(100, LIMITS);
    let catalog = stack.seed(&sale).await;
    let service = stack.service().await;
    let bought = fill(&service, "ann", &[&catalog.get(0).unwrap().id]).await;
    let unbought = fill(&service, "bob", &[&catalog.get(1).unwrap().id]).await;
    service.purchase(&bought, &request_id()).await.unwrap();
    let mut unknown = bought.clone();
    let (partition, now) = (bought.suffix.partition(), jiff::Timestamp::now());
    unknown.suffix = CodeSuffix::generate(partition, now, &SystemRandom::random());
    let answer = service.purchase(&unknown, &request_id()).await;
    assert!(matches!(answer, Err(NoOrder::UnknownCode)), "{answer:?}");

    stack.admin.end_early(&sale.id).await.unwrap();
    let answer = service.purchase(&unbought, &request_id()).await;
    let unsettled = |error: &BackendError| *error == BackendError::Unsettled;
    assert!(
        matches!(&answer, Err(NoOrder::Unavailable(error)) if unsettled(error)),
        "{answer:?}"
    );
    assert_eq!(stack.close_and_settle(&sale.id).await, 1);
    let answer = service.purchase(&unbought, &request_id()).await;
    assert!(matches!(answer, Err(NoOrder::SaleNotActive)), "{answer:?}");
    let replay = service.purchase(&bought, &request_id()).await.unwrap();
    assert_eq!((replay.sold_count(), replay.replayed), (1, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn seeding_can_be_repeated_after_a_crash_in_its_middle() {
    let stack = Stack::start().await;
    let sale = stack.sale(
        25_000,
        Limits {
            total: 25_000,
            ..LIMITS
        },
    );
    let catalog = stack.seed(&sale).await;
    // What a crash between the stores leaves: all in Postgres but the mark, a part in Redis.
    stack.execute("UPDATE sales SET seeded_at = NULL").await;
    stack.redis.flush_all().unwrap();
    let report = stack.admin.seed(&sale, &catalog).await.unwrap();
    assert!(!report.already_seeded);
    let items: i64 = stack.sql("SELECT count(*) FROM items").await;
    assert_eq!(items, 25_000);
    let service = stack.service().await;
    fill(&service, "ann", &[&catalog.get(24_999).unwrap().id]).await;
    assert!(
        stack
            .admin
            .seed(&sale, &catalog)
            .await
            .unwrap()
            .already_seeded
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_is_withdrawn_before_its_start_is_gone() {
    let stack = Stack::start().await;
    let running = stack.sale(
        10,
        Limits {
            total: 10,
            ..LIMITS
        },
    );
    let catalog = stack.seed(&running).await;
    let service = stack.service().await;
    let mut coming = running.clone();
    coming.window.starts_at = running.window.ends_at;
    coming.window.ends_at = running.window.ends_at + jiff::SignedDuration::from_hours(1);
    coming.id = flashsale_engine::SaleId::new(&stack.name, coming.window.starts_at);
    stack.seed(&coming).await;
    eventually("the coming sale is loaded", || async {
        service.known(&coming.id).is_some()
    })
    .await;

    assert!(stack.admin.withdraw(&coming.id).await.unwrap());
    eventually("it is not served any more", || async {
        service.known(&coming.id).is_none()
    })
    .await;
    assert!(service.status(&coming.id).await.unwrap().is_none());
    // A sale that has begun cannot be withdrawn.
    assert!(!stack.admin.withdraw(&running.id).await.unwrap());
    fill(&service, "ann", &[&catalog.get(0).unwrap().id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_sale_leaves_no_key_and_no_process_brings_it_back() {
    let stack = Stack::start().await;
    let mut sale = stack.sale(
        10,
        Limits {
            total: 10,
            ..LIMITS
        },
    );
    sale.window.ends_at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3);
    let catalog = stack.seed(&sale).await;
    let service = stack.service().await;
    let code = fill(&service, "ann", &[&catalog.get(0).unwrap().id]).await;
    service.purchase(&code, &request_id()).await.unwrap();
    eventually("the sale is over", || async { service.active().is_none() }).await;
    assert_eq!(stack.close_and_settle(&sale.id).await, 1);
    stack.admin.retire(&sale.id).await.unwrap();
    eventually("it is not served from memory", || async {
        service.known(&sale.id).is_none()
    })
    .await;
    assert!(service.stop(std::time::Duration::from_secs(10)).await);
    let client = redis::Client::open(stack.redis.url()).unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(format!("*{}*", sale.id))
        .query(&mut client.get_connection().unwrap())
        .unwrap();
    assert_eq!(keys, Vec::<String>::new());
}

/// Creates a user on the Redis node, from the words of `ACL SETUSER`, and starts a service that logs in
/// as that user.
async fn service_as(stack: &Stack, user: &str, access_list: &str) -> Arc<Service> {
    let words: Vec<&str> = access_list.split_whitespace().collect();
    stack.redis.ask_node(0, &words).unwrap();
    let login = format!("redis://{user}:secret@");
    let url = stack.redis.url().replace("redis://", &login);
    stack.service_at(&url).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_list_of_the_chart_is_enough_for_a_whole_sale() {
    let mut stack = Stack::start().await;
    let readme = include_str!("../../charts/flashsale/README.md");
    let mut lines = readme.lines();
    let access_list = lines.find(|line| line.starts_with("ACL SETUSER flashsale"));
    let access_list = access_list.unwrap().replace(">PASSWORD", ">secret");
    let words: Vec<&str> = access_list.split_whitespace().collect();
    stack.redis.ask_node(0, &words).unwrap();
    let url = stack.redis.url();
    let url = url.replace("redis://", "redis://flashsale:secret@");
    stack.connect_admin_at(&url).await;

    let sale = stack.sale(100, LIMITS);
    let catalog = stack.seed(&sale).await;
    let service = stack.service_at(&url).await;
    let code = fill(&service, "ann", &[&catalog.get(0).unwrap().id]).await;
    service.purchase(&code, &request_id()).await.unwrap();
    eventually("nothing is missing", || async {
        service.ping().await.0.warnings.is_empty()
    })
    .await;
    assert!(service.stop(std::time::Duration::from_secs(10)).await);
    assert_eq!(stack.close_and_settle(&sale.id).await, 1);
    stack.admin.retire(&sale.id).await.unwrap();
    let (metrics, clock) = (Arc::new(Metrics::new().unwrap()), SystemClock::clock());
    let url = stack.redis.url();
    let as_default = RedisCluster::connect(&url, &Certificates::NONE, metrics, clock);
    let mut denied_commands = redis::cmd("ACL");
    denied_commands.arg("LOG");
    let as_default = as_default.await.unwrap();
    for master in as_default.call_all_masters("test", &denied_commands).await {
        let none = redis::Value::Array(Vec::new());
        assert_eq!(
            master.answer,
            Ok(none),
            "commands that the user may not run"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_user_without_info_sells_with_a_warning_and_one_without_an_id_sells_nothing() {
    let stack = Stack::start().await;
    let sale = stack.sale(100, LIMITS);
    let catalog = stack.seed(&sale).await;
    let rights = "ACL SETUSER limited on >secret ~* &* +@all -info -config";
    let service = service_as(&stack, "limited", rights).await;
    // The carts belong to the master by its other name: they are restored, and found whole.
    eventually("the cart is filled", || async {
        let item = ItemId::parse(&catalog.get(0).unwrap().id).unwrap();
        let request_id = request_id();
        let answer = service.checkout(&user("ann"), &item, &request_id).await;
        matches!(answer, Ok(Checkout::InCart { .. }))
    })
    .await;
    let code = fill(&service, "ann", &[&catalog.get(1).unwrap().id]).await;
    let order = service.purchase(&code, &request_id()).await.unwrap();
    assert_eq!(order.sold_count(), 2);
    eventually("the service warns", || async {
        let warnings = service.ping().await.0.warnings;
        warnings.iter().any(|warning| warning.contains("+info"))
    })
    .await;

    let rights = "ACL SETUSER limited -cluster|myid";
    stack
        .redis
        .ask_node(0, &rights.split(' ').collect::<Vec<_>>())
        .unwrap();
    let item = ItemId::parse(&catalog.get(2).unwrap().id).unwrap();
    let request_id = request_id();
    let refused = service.checkout(&user("ann"), &item, &request_id).await;
    let error = refused.unwrap_err().to_string();
    let expected = "expected a Redis user with the permission +info or +cluster|myid";
    assert!(error.contains(expected), "{error}");
}
