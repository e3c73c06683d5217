//! Nodes that hang, are slow or are killed.

use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use super::simulated::{Behaviour, REPLY_TIME};
use super::{Fixture, SOON, address, assert_away, call, keys};
use crate::redis::cluster::timeouts::{LATE_ANSWER_LIMIT, SILENCE_LIMIT};
use crate::redis::cluster::{CALL_TIMEOUT, NodeReply};
use crate::redis::commands::Redis;

#[tokio::test(start_paused = true)]
async fn a_hung_node_delays_no_other_slot_and_fails_its_own_at_once() {
    let fixture = Fixture::new().await;
    let [a, b, c] = keys();
    tokio::time::sleep(Duration::from_secs(2)).await;
    fixture.nodes.set(1, Behaviour::Hangs);
    let redis = fixture.redis.clone();
    let first = tokio::spawn(async move { call(&redis, &a).await });
    for _ in 0..2_000 {
        for (key, node) in [(&b, 2), (&c, 3)] {
            let (answer, took) = fixture.call(key).await;
            assert_eq!(answer, Ok(node));
            assert_eq!(took, REPLY_TIME);
        }
    }
    let (answer, took) = first.await.unwrap();
    assert_away(&answer.unwrap_err(), 1);
    assert_eq!(took, SILENCE_LIMIT + LATE_ANSWER_LIMIT);

    let (answer, took) = fixture.call(&keys()[0]).await;
    let error = answer.unwrap_err();
    assert_away(&error, 1);
    assert_eq!(took, Duration::ZERO);
    let message = error.to_string();
    assert!(
        message.contains("node:1 is away since 1970-01-01T00:00:02.75"),
        "{message}"
    );
    assert!(message.contains("no answer within 750ms"), "{message}");
    let state = &fixture.redis.nodes()[0];
    assert_eq!(state.slots, [(0, 5_460)]);
    assert!(state.away.is_some());
    assert_eq!(
        fixture.metric("redis_node_up{node=\"node:1\"}"),
        ["redis_node_up{node=\"node:1\"} 0"]
    );
    assert_eq!(
        fixture.metric("redis_node_info{id=\"\",node=\"node:1\""),
        ["redis_node_info{id=\"\",node=\"node:1\",slots=\"0-5460\"} 1"]
    );
    assert_eq!(
        fixture.metric("redis_node_away_since_timestamp_seconds{node=\"node:1\"}"),
        ["redis_node_away_since_timestamp_seconds{node=\"node:1\"} 2"]
    );
    assert_eq!(
        fixture.metric("redis_node_away_total"),
        ["redis_node_away_total 1"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_promotion_is_noticed_while_the_old_master_hangs() {
    let fixture = Fixture::new().await;
    let [a, ..] = keys();
    fixture.nodes.set(1, Behaviour::Hangs);
    let hung = Instant::now();
    while hung.elapsed() < Duration::from_millis(2_500) {
        assert!(fixture.call(&a).await.0.is_err());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    fixture.nodes.promote_replica_of(1);
    let promoted = Instant::now();
    while fixture.call(&a).await.0 != Ok(4) {
        assert!(
            promoted.elapsed() < Duration::from_millis(250),
            "{:?}",
            promoted.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let gone = fixture.metric("redis_node_up{node=\"node:1\"}");
    assert!(gone.is_empty(), "{gone:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_hung_node_continues_at_the_new_owner() {
    let fixture = Fixture::new().await;
    let [a, ..] = keys();
    fixture.nodes.set(1, Behaviour::Hangs);
    let redis = fixture.redis.clone();
    let waiting = tokio::spawn(async move { call(&redis, &a).await });
    tokio::time::sleep(Duration::from_millis(900)).await;
    fixture.nodes.promote_replica_of(1);
    let (answer, took) = waiting.await.unwrap();
    assert_eq!(answer, Ok(4));
    assert!(took < Duration::from_millis(1_250), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_command_of_a_node_that_answers_others_is_waited_for() {
    let fixture = Fixture::new().await;
    let [a, ..] = keys();
    let long = Ok(NodeReply::Answer(Value::Int(77)));
    fixture
        .nodes
        .reply_next(1, Duration::from_millis(1_400), long);
    let (redis, key) = (fixture.redis.clone(), a.clone());
    let waiting = tokio::spawn(async move { call(&redis, &key).await });
    while !waiting.is_finished() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(fixture.call(&a).await.0, Ok(1));
    }
    assert_eq!(waiting.await.unwrap().0, Ok(77));
    assert_eq!(
        fixture.metric("redis_node_away_total"),
        ["redis_node_away_total 0"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_late_answer_of_a_silent_node_ends_its_absence() {
    let fixture = Fixture::new().await;
    let [a, ..] = keys();
    let long = Ok(NodeReply::Answer(Value::Int(77)));
    fixture
        .nodes
        .reply_next(1, Duration::from_millis(800), long);
    let (redis, key) = (fixture.redis.clone(), a.clone());
    let waiting = tokio::spawn(async move { call(&redis, &key).await });
    tokio::time::sleep(Duration::from_millis(760)).await;
    assert_away(&fixture.call(&a).await.0.unwrap_err(), 1);
    assert_eq!(waiting.await.unwrap().0, Ok(77));
    assert_eq!(fixture.call(&a).await.0, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_killed_node_costs_milliseconds_and_is_back_with_its_first_answer() {
    let fixture = Fixture::new().await;
    let [a, ..] = keys();
    fixture.nodes.set(1, Behaviour::Refuses);
    let (answer, took) = fixture.call(&a).await;
    let error = answer.unwrap_err();
    assert_away(&error, 1);
    assert!(error.to_string().contains("connection refused"), "{error}");
    assert!(took < SOON, "{took:?}");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(fixture.call(&a).await.0.is_err());

    fixture.nodes.set(1, Behaviour::Answers);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(fixture.call(&a).await.0, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_hung_node_is_probed_by_one_probe_at_a_time() {
    let fixture = Fixture::new().await;
    let [a, ..] = keys();
    fixture.nodes.set(1, Behaviour::Hangs);
    let hung = Instant::now();
    while hung.elapsed() < Duration::from_secs(20) {
        assert!(fixture.call(&a).await.0.is_err());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(fixture.nodes.most_probes_at_once(1), 1);
    assert!(
        fixture.nodes.take_sent().len() < 10,
        "calls reached the hung node"
    );
    fixture.nodes.set(1, Behaviour::Answers);
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert_eq!(fixture.call(&a).await.0, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn all_masters_are_asked_at_once_and_a_hung_one_has_an_error() {
    let fixture = Fixture::new().await;
    fixture.nodes.set(2, Behaviour::Hangs);
    let ping = async || {
        let started = Instant::now();
        let masters = fixture
            .redis
            .call_all_masters("PING", &redis::cmd("PING"))
            .await;
        let nodes = masters
            .iter()
            .map(|master| (master.node.as_str(), master.answer.is_ok()));
        assert!(nodes.eq([("node:1", true), ("node:2", false), ("node:3", true)]));
        started.elapsed()
    };
    assert!(ping().await <= CALL_TIMEOUT);
    assert_eq!(ping().await, REPLY_TIME, "the hung one is known");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_hangs_while_it_imports_its_first_slot_costs_milliseconds() {
    let fixture = Fixture::new().await;
    let [a, ..] = keys();
    fixture.nodes.set(9, Behaviour::Hangs);
    let ask = || {
        let to = Some(address(9));
        fixture
            .nodes
            .reply_next(1, REPLY_TIME, Ok(NodeReply::Ask { to }));
    };
    ask();
    let (answer, took) = fixture.call(&a).await;
    assert_away(&answer.unwrap_err(), 9);
    assert!(took <= CALL_TIMEOUT, "{took:?}");
    // The slot map, which is read again and again meanwhile, does not have the node.
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        ask();
        let (answer, took) = fixture.call(&a).await;
        assert_away(&answer.unwrap_err(), 9);
        assert_eq!(took, REPLY_TIME);
    }
    fixture.nodes.set(9, Behaviour::Answers);
    tokio::time::sleep(Duration::from_secs(2)).await;
    ask();
    assert_eq!(fixture.call(&a).await, (Ok(9), 2 * REPLY_TIME));
    // One that never comes back is forgotten.
    fixture.nodes.set(9, Behaviour::Hangs);
    ask();
    assert!(fixture.call(&a).await.0.is_err());
    let up = || fixture.metric("redis_node_up{node=\"node:9\"}").len();
    assert_eq!(up(), 1);
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert_eq!(up(), 0);
}
