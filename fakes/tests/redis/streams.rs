//! Streams: entries and reads without groups.

use std::time::Duration;

use flashsale_engine::redis::commands::Redis;

use crate::support::{assert_same, fake, hide_times, play, real, show};

#[tokio::test]
async fn entries_are_added_and_deleted_as_on_the_server() {
    assert_same(&[
        "XADD {entry}:x 5-1 a 1 b 2",
        "XADD {entry}:x 5-1 a 1",
        "XADD {entry}:x 5-0 a 1",
        "XADD {entry}:x 5 a 1",
        "XADD {entry}:x 5-* a 2",
        "XADD {entry}:x 6-* a 3",
        "XADD {entry}:x 4-* a 3",
        "XADD {entry}:x 0-0 a 1",
        "XADD {entry}:first 0-* a 1",
        "XADD {entry}:x word a 1",
        "XADD {entry}:x 7-1 a",
        "XADD {entry}:x 7-1 a 1 b",
        "XADD {entry}:none NOMKSTREAM 1-1 a 1",
        "XLEN {entry}:x",
        "XLEN {entry}:none",
        "XRANGE {entry}:x - +",
        "XDEL {entry}:x 5-2 9-9",
        "XDEL {entry}:none 5-2",
        "XDEL {entry}:x word",
        "XRANGE {entry}:x - +",
        "XADD {entry}:x MAXLEN 2 8-1 a 4",
        "XADD {entry}:x MINID = 8 9-1 a 5",
        "XRANGE {entry}:x - +",
        "XDEL {entry}:x 8-1 9-1",
        "XLEN {entry}:x",
        "EXISTS {entry}:x",
        "XADD {entry}:x 9-1 a 5",
    ])
    .await;
}

#[tokio::test]
async fn ranges_and_trims_are_as_on_the_server() {
    assert_same(&[
        "XADD {range}:x 1-1 a 1",
        "XADD {range}:x 2-1 a 2",
        "XADD {range}:x 2-2 a 3",
        "XADD {range}:x 3-1 a 4",
        "XRANGE {range}:x 2 2",
        "XRANGE {range}:x (2-1 +",
        "XRANGE {range}:x - (2-2",
        "XRANGE {range}:x 2-2 1",
        "XRANGE {range}:x - + COUNT 1",
        "XRANGE {range}:x - + COUNT 0",
        "XRANGE {range}:x - + COUNT word",
        "XRANGE {range}:x word +",
        "XRANGE {range}:none - +",
        "XTRIM {range}:x MINID 2-2",
        "XRANGE {range}:x - +",
        "XTRIM {range}:x MINID = 1",
        "XTRIM {range}:x MAXLEN 1",
        "XRANGE {range}:x - +",
        "XTRIM {range}:x MAXLEN -1",
        "XTRIM {range}:none MINID 5",
        "XTRIM {range}:x SOMETHING 5",
    ])
    .await;
}

#[tokio::test]
async fn reads_behind_an_id_are_as_on_the_server() {
    assert_same(&[
        "XREAD STREAMS {read}:x 0",
        "XADD {read}:x 1-1 a 1",
        "XADD {read}:x 2-1 a 2 b 3",
        "XADD {read}:y 1-1 a 1",
        "XREAD STREAMS {read}:x 0",
        "XREAD COUNT 1 STREAMS {read}:x {read}:y {read}:none 0 0-5 0",
        "XREAD COUNT 0 STREAMS {read}:x 1-1",
        "XREAD STREAMS {read}:x {read}:y 2-1 1-1",
        "XREAD STREAMS {read}:x $",
        "XREAD BLOCK 5 STREAMS {read}:x $",
        "XREAD BLOCK 5 STREAMS {read}:x 1",
        "XREAD STREAMS {read}:x",
        "XREAD STREAMS {read}:x word",
        "XREAD COUNT word STREAMS {read}:x 0",
        "XREAD SOMETHING 1 STREAMS {read}:x 0",
    ])
    .await;
}

/// Entries without a given id have the server's time, and their ids grow.
async fn given_ids_grow(redis: &impl Redis) -> String {
    let before = jiff::Timestamp::now().as_millisecond();
    for n in 0..3 {
        play(redis, &format!("XADD {{auto}}:x * n {n}")).await;
    }
    play(redis, "XADD {auto}:y 99999999999999-7 n 0").await;
    let after_future = play(redis, "XADD {auto}:y * n 1").await;
    let mut command = redis::cmd("XRANGE");
    command.arg("{auto}:x").arg("-").arg("+");
    let reply = redis.call("test", "{auto}:x", &command).await;
    let entries: Vec<(String, redis::Value)> =
        redis::from_redis_value(reply.clone().unwrap()).unwrap();
    let ms = |id: &str| id.split('-').next().unwrap().parse::<i64>().unwrap();
    assert!(entries.is_sorted_by_key(|(id, _)| (ms(id), id.len(), id.clone())));
    // The clocks of a process and of a server differ by less than a second on one machine.
    assert!(
        entries
            .iter()
            .all(|(id, _)| (ms(id) - before).abs() < 1_000)
    );
    format!("{after_future} {}", hide_times(&show(&reply)))
}

#[tokio::test]
async fn the_server_gives_ids_by_its_clock_that_grow() {
    let (fake, real) = (fake(), real().await);
    assert_eq!(given_ids_grow(&fake).await, given_ids_grow(&real).await);
}

/// A read that waits returns what is added meanwhile, and no lock is held while it waits.
async fn a_read_waits_for_an_entry(redis: &impl Redis) -> [String; 3] {
    let reader = redis.stream_reader().await.unwrap();
    let last = play(redis, "XADD {wait}:x 1-1 a 1").await;
    let reading = tokio::spawn(async move {
        play(&reader, "XREAD BLOCK 10000 STREAMS {wait}:x {wait}:y $ 0").await
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let added = play(redis, "XADD {wait}:x 2-1 a 2").await;
    [last, added, reading.await.unwrap()]
}

#[tokio::test]
async fn a_read_that_waits_returns_what_is_added_meanwhile() {
    let (fake, real) = (fake(), real().await);
    let on_fake = a_read_waits_for_an_entry(&fake).await;
    assert_eq!(on_fake, a_read_waits_for_an_entry(&real).await);
    assert!(on_fake[2].contains("2-1"));
}
