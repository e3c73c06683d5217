//! An operator that ends, however it ends, and another one that goes on.

use flashsale_operator::crd::{PastSale, Phase, SaleResult};
use flashsale_servers::RedisCluster;
use jiff::{SignedDuration, Timestamp};
use sqlx::Connection as _;

use crate::support::{World, await_true, in_seconds};

#[test]
fn killed_after_the_warm_up_it_finds_the_same_sale_again_rebuilds_it_and_it_opens_on_time() {
    let redis = RedisCluster::single().unwrap();
    let world = World::on("killed", &redis);
    let start = in_seconds(12);
    let manifest = world.manifest(start, "  duration: 1m\n  api: {warmUp: 1m, coolDown: 1s}");
    let mut first = world.start(&manifest);
    let id = first.await_seeded();
    first.signal("-KILL");

    // Redis loses everything while nobody is there.
    redis.flush_all().unwrap();
    assert!(!world.redis_holds(&id));

    let mut second = world.start(&manifest);
    world.await_redis(&id, true);
    assert!(Timestamp::now() < start, "rebuilt before it opens");
    let open = second.await_phase(Phase::Selling).active_sale.unwrap();
    assert!(
        Timestamp::now() < start + SignedDuration::from_secs(2),
        "it opens on time"
    );
    assert_eq!((open.id.as_str(), open.starts_at.0), (id.as_str(), start));
    second.await_conditions(&["RedisReady=True", "Ready=True"]);
    assert_eq!(world.sales().len(), 1);

    // And once more, in the middle of the sale.
    redis.flush_all().unwrap();
    world.await_redis(&id, true);
    assert_eq!(
        second.signal("-INT").code(),
        Some(0),
        "Ctrl-C ends it cleanly too"
    );
    let output = second.output();
    assert!(
        !output.contains("Ended") && !output.contains("Scheduled"),
        "{output}"
    );
}

#[test]
fn stopped_while_it_seeds_it_leaves_nothing_open_and_the_next_one_seeds_to_the_end() {
    let world = World::new("stopped");
    let start = in_seconds(60);
    let manifest = world.manifest_of(
        "{generate: {count: 200000}}",
        start,
        "  api: {warmUp: 5m}",
        "",
    );
    let mut first = world.start(&manifest);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    await_true("it writes items", || runtime.block_on(writes_items(&world)));
    assert_eq!(first.signal("-TERM").code(), Some(0), "{}", first.log());
    let seeded: Vec<bool> = world.sales().iter().map(|[seeded, ..]| *seeded).collect();
    assert!(!seeded.contains(&true), "it was stopped in the middle");

    let mut second = world.start(&manifest);
    let id = second.await_seeded();
    assert!(world.redis_holds(&id));
    assert_eq!(world.sales(), [[true, false, false, false]]);
    assert_eq!(world.records()[0].sale.items, 200_000);
}

async fn writes_items(world: &World) -> bool {
    let mut connection = sqlx::PgConnection::connect(&world.postgres).await.unwrap();
    let sql = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()
                  AND state <> 'idle' AND query LIKE '%INTO items%'";
    let count: i64 = sqlx::query_scalar(sql)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    count > 0
}

#[test]
fn suspended_by_an_edited_manifest_a_prepared_sale_is_taken_back_and_resumed_it_is_prepared_again()
{
    let world = World::new("suspended");
    let start = in_seconds(60);
    let manifest = world.manifest(start, "  api: {warmUp: 5m}");
    let mut first = world.start(&manifest);
    let id = first.await_seeded();
    assert!(world.redis_holds(&id));
    first.signal("-TERM");

    world.manifest(start, "  suspend: true\n  api: {warmUp: 5m}");
    let mut second = world.start(&manifest);
    let suspended = second.await_phase(Phase::Suspended);
    assert_eq!(suspended.next_sale, None);
    assert_eq!(world.sales().len(), 0);
    assert!(!world.redis_holds(&id), "{}", world.ask_redis("KEYS *"));
    assert_eq!(second.output().matches(" Suspended ").count(), 1);
    second.signal("-TERM");

    world.manifest(start, "  suspend: false\n  api: {warmUp: 5m}");
    let mut third = world.start(&manifest);
    assert_eq!(third.await_seeded(), id);
    assert!(world.redis_holds(&id));
    let mut conditions = third
        .await_conditions(&["Suspended=False"])
        .conditions
        .into_iter();
    let suspended = conditions.find(|condition| condition.type_ == "Suspended");
    assert_eq!(suspended.unwrap().reason, "Resumed");
}

#[test]
fn a_status_file_of_another_flash_sale_is_not_taken_over_and_one_that_is_none_is_put_aside() {
    let world = World::new("mine");
    let other = World::new("other");
    let start = in_seconds(60);
    let mut operator = other.start(&other.manifest(start, "  api: {warmUp: 1s}"));
    let mut status = operator.await_phase(Phase::Scheduled);
    operator.signal("-TERM");
    let next = status.next_sale.clone().unwrap();
    status.history.push(PastSale {
        id: next.id,
        started_at: next.starts_at,
        ended_at: next.ends_at,
        result: SaleResult::Failed,
        total: None,
        sold: 0,
        message: None,
    });
    let left = serde_json::to_vec(&status).unwrap();
    std::fs::write(world.file("status.json"), left).unwrap();

    let manifest = world.manifest(start, "  api: {warmUp: 1s}");
    let mut operator = world.start(&manifest);
    let status = operator.await_status("of this FlashSale", |status| {
        let next = status.next_sale.as_ref();
        next.is_some_and(|sale| sale.id.starts_with("shop.mine."))
    });
    assert_eq!((status.phase, status.history), (Phase::Scheduled, vec![]));
    operator.signal("-TERM");

    std::fs::write(world.file("status.json"), "{\"phase\": \"Sell").unwrap();
    let mut operator = world.start(&manifest);
    let aside = world.file("status.json.unreadable");
    await_true("it is put aside", || aside.exists());
    operator.await_phase(Phase::Scheduled);
    let aside = std::fs::read_to_string(aside).unwrap();
    assert_eq!(aside, "{\"phase\": \"Sell");
    let output = operator.output();
    assert!(output.contains("! StatusFile"), "{output}");
}
