//! Fakes under paused time: waits cost nothing, and times are exact.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use flashsale_engine::postgres::operations::Postgres;
use flashsale_engine::redis::commands::{Redis, call};
use flashsale_engine::{
    CURRENT_FORMAT, Catalog, FlashSaleName, Limits, Milestone, Sale, SaleId, Window,
};
use flashsale_fakes::{FakePostgres, FakeRedis, TestClock, TestRandom};
use jiff::{SignedDuration, Timestamp};
use redis::Value;

fn noon() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn xread(block_ms: u64) -> redis::Cmd {
    let mut command = redis::cmd("XREAD");
    command.arg("BLOCK").arg(block_ms).arg("STREAMS");
    command.arg("{s}:events").arg("$");
    command
}

#[tokio::test(start_paused = true)]
async fn the_clock_follows_the_time_of_the_runtime() {
    let clock = TestClock::starting_at(noon());
    let timer = clock.start_timer();
    assert_eq!(clock.now(), noon());
    tokio::time::sleep(Duration::from_millis(90_500)).await;
    assert_eq!(clock.now(), noon() + SignedDuration::from_millis(90_500));
    assert_eq!(timer.elapsed(), Duration::from_millis(90_500));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_finds_nothing_waits_its_whole_time() {
    let clock = TestClock::starting_at(noon());
    let redis = FakeRedis::new(clock.clone());
    let reply = redis.call("feed", "{s}:events", &xread(60_000)).await;
    assert_eq!(reply, Ok(Value::Nil));
    assert_eq!(clock.now(), noon() + SignedDuration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn a_read_wakes_at_the_moment_an_entry_is_added() {
    let clock = TestClock::starting_at(noon());
    let redis = FakeRedis::new(clock.clone());
    let reader = redis.stream_reader().await.unwrap();
    let (waits, ends) = (clock.clone(), clock.clone());
    let reading = tokio::spawn(async move {
        // Zero waits for ever.
        let reply = reader.call("feed", "{s}:events", &xread(0)).await;
        (reply.unwrap(), waits.now())
    });
    tokio::time::sleep(Duration::from_secs(7)).await;
    let mut add = redis::cmd("XADD");
    add.arg("{s}:events").arg("*").arg("n").arg(1);
    let id: String = call(&redis, "claim", "{s}:events", &add).await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(60), reading).await;
    let (reply, read_at) = read.expect("the read returns").unwrap();
    assert!(format!("{reply:?}").contains(&id));
    assert_eq!(id, format!("{}-0", ends.now_ms()));
    assert_eq!(read_at, noon() + SignedDuration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_key_expires_at_its_time_and_not_before() {
    let redis = FakeRedis::new(TestClock::starting_at(noon()));
    let mut set = redis::cmd("SET");
    set.arg("{s}:lease")
        .arg("1")
        .arg("NX")
        .arg("PX")
        .arg(10_000);
    assert_eq!(
        redis.call("restore", "{s}:lease", &set).await,
        Ok(Value::Okay)
    );
    tokio::time::sleep(Duration::from_millis(9_999)).await;
    assert_eq!(
        redis.call("restore", "{s}:lease", &set).await,
        Ok(Value::Nil)
    );
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(
        redis.call("restore", "{s}:lease", &set).await,
        Ok(Value::Okay)
    );
}

#[tokio::test(start_paused = true)]
async fn idle_entries_are_taken_over_after_their_time() {
    let redis = FakeRedis::new(TestClock::starting_at(noon()));
    let run = async |words: &str| {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        command.arg(words.collect::<Vec<_>>());
        let reply = redis.call("settle", "{s}:events", &command).await;
        format!("{:?}", reply.unwrap())
    };
    run("XGROUP CREATE {s}:events g 0 MKSTREAM").await;
    run("XADD {s}:events 1-1 n 1").await;
    run("XREADGROUP GROUP g lost STREAMS {s}:events >").await;
    let claim = "XAUTOCLAIM {s}:events g other 5000 0-0";
    tokio::time::sleep(Duration::from_millis(4_999)).await;
    assert!(!run(claim).await.contains("1-1"));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(run(claim).await.contains("1-1"));
    assert!(!run(claim).await.contains("1-1"));
}

#[tokio::test(start_paused = true)]
async fn postgres_notes_milestones_and_withdraws_by_the_clock() {
    let postgres = FakePostgres::new(TestClock::starting_at(noon()));
    let starts_at = noon() + SignedDuration::from_mins(5);
    let name = FlashSaleName::new("shop", "hourly").unwrap();
    let sale = Sale {
        id: SaleId::new(&name, starts_at),
        window: Window {
            starts_at,
            ends_at: starts_at + SignedDuration::from_mins(5),
        },
        limits: Limits {
            per_user: 1,
            per_checkout: 1,
            total: 1,
        },
        items: 1,
        partitions: 1,
        best_effort: false,
        format: CURRENT_FORMAT,
    };
    let catalog = Catalog::generate(1, "item").unwrap();
    postgres.insert_sale(&sale, &catalog).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let seeded = Milestone::Seeded;
    postgres.note_milestone(&sale.id, seeded).await.unwrap();
    let seeded_at = noon() + SignedDuration::from_secs(10);
    let record = async || postgres.read_sale(&sale.id).await.unwrap().unwrap();
    assert_eq!(record().await.seeded_at, Some(seeded_at));
    tokio::time::sleep(Duration::from_secs(1)).await;
    postgres.note_milestone(&sale.id, seeded).await.unwrap();
    assert_eq!(
        record().await.seeded_at,
        Some(seeded_at),
        "the first note stays"
    );
    assert!(postgres.unseed_sale(&sale.id).await.unwrap());
    assert_eq!(record().await.seeded_at, None);
    tokio::time::sleep(Duration::from_secs(289)).await;
    assert!(
        !postgres.unseed_sale(&sale.id).await.unwrap(),
        "it has begun"
    );
}

#[test]
fn randomness_repeats_from_its_seed() {
    let draw = |seed| {
        let random = TestRandom::from_seed(seed);
        [(); 4].map(|()| random.next_u64())
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
    // The first number of SplitMix64 from 0, as its authors publish it.
    assert_eq!(draw(0)[0], 0xe220_a839_7b1d_cdaf);
}
