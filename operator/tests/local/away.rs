//! Backends that are away, at the start and in the middle.

use std::time::Duration;

use flashsale_operator::crd::Phase;
use flashsale_servers::RedisCluster;

use crate::backends::start_postgres;
use crate::support::{World, in_seconds};

#[test]
fn postgres_is_waited_for_and_a_restart_without_it_keeps_an_open_sale() {
    let mut postgres = start_postgres();
    let world = World::with("postgres", &postgres);
    postgres.stop();
    let manifest = world.manifest(in_seconds(2), "  duration: 10m\n  api: {warmUp: 1s}");
    let mut first = world.start(&manifest);
    let away = first.await_conditions(&["Ready=False", "DatabaseReady=False"]);
    let conditions = away.conditions.iter();
    let reasons: Vec<_> = conditions
        .map(|c| format!("{} {}", c.type_, c.reason))
        .collect();
    assert_eq!(
        reasons[..2],
        ["Ready PostgresUnreachable", "DatabaseReady Unreachable"]
    );
    assert_eq!(away.phase, Phase::Pending, "nothing is observed yet");

    postgres.start_again().unwrap();
    // The start was missed meanwhile; its window is open, so it is made good.
    let open = first.await_phase(Phase::Selling);
    first.await_conditions(&["Ready=True"]);
    let output = first.output();
    assert!(output.contains("! NotReady"), "{output}");
    assert!(output.contains("  Ready "), "{output}");
    first.signal("-TERM");

    postgres.stop();
    let mut second = world.start(&manifest);
    let away = second.await_conditions(&["Ready=False", "DatabaseReady=False", "Selling=True"]);
    assert_eq!(away.phase, Phase::Selling);
    assert_eq!(away.active_sale, open.active_sale);
    postgres.start_again().unwrap();
    second.await_conditions(&["Ready=True", "Selling=True"]);
    second.signal("-TERM");
    let output = second.output();
    assert!(output.contains("! NotReady"), "{output}");
    for word in ["Ended", "Opened"] {
        assert!(!output.contains(word), "{word}: {output}");
    }
}

#[test]
fn redis_is_waited_for_while_postgres_is_observed_and_restored_in_the_middle_of_a_sale() {
    let mut redis = RedisCluster::single().unwrap();
    let world = World::on("redis", &redis);
    redis.kill(0);
    let manifest = world.manifest(in_seconds(1), "  duration: 10m\n  api: {warmUp: 1m}");
    let mut operator = world.start(&manifest);
    let away =
        operator.await_conditions(&["Ready=False", "RedisReady=False", "DatabaseReady=True"]);
    let next = away.next_sale.expect("the sales in Postgres are observed");
    assert!(!next.seeded);

    let back = Duration::from_secs(30);
    redis.restart(0).unwrap();
    redis.await_ok(back).unwrap();
    let open = operator.await_phase(Phase::Selling).active_sale.unwrap();
    assert_eq!(open.id, next.id);
    operator.await_conditions(&["Ready=True", "RedisReady=True"]);
    assert!(world.redis_holds(&open.id));

    redis.kill(0);
    let away =
        operator.await_conditions(&["Ready=False", "RedisReady=False", "DatabaseReady=True"]);
    assert_eq!(away.phase, Phase::Selling, "it goes on by the clock");
    redis.restart(0).unwrap();
    redis.await_ok(back).unwrap();
    assert!(!world.ask_redis("KEYS *").contains("ready"));
    world.await_redis(&open.id, true);
    operator.await_conditions(&["Ready=True", "RedisReady=True"]);

    let output = operator.output();
    assert_eq!(output.matches("! NotReady").count(), 2, "{output}");
    assert_eq!(output.matches("  Ready ").count(), 2, "{output}");
    assert_eq!(output.matches(" Opened ").count(), 1, "{output}");
}
