//! Random sequences of commands on a stream and its consumer groups.

use std::sync::atomic::{AtomicU32, Ordering};

use flashsale_engine::RedisCluster;
use flashsale_fakes::FakeRedis;
use proptest::prelude::*;

use crate::support::{play, run_sequences};

fn command() -> impl Strategy<Value = String> {
    let (ms, seq, group, consumer) = (0..8_u8, 0..3_u8, 0..2_u8, 0..3_u8);
    let id = (ms, seq).prop_map(|(ms, seq)| format!("{ms}-{seq}"));
    let count = 1..4_u8;
    prop_oneof![
        8 => id.clone().prop_map(|id| format!("XADD KEY {id} n 1")),
        2 => id.clone().prop_map(|id| format!("XDEL KEY {id}")),
        1 => id.clone().prop_map(|id| format!("XTRIM KEY MINID {id}")),
        1 => count.clone().prop_map(|n| format!("XTRIM KEY MAXLEN {n}")),
        5 => (group.clone(), consumer.clone(), count.clone())
            .prop_map(|(g, c, n)| format!("XREADGROUP GROUP g{g} c{c} COUNT {n} STREAMS KEY >")),
        2 => (group.clone(), consumer.clone(), id.clone())
            .prop_map(|(g, c, id)| format!("XREADGROUP GROUP g{g} c{c} STREAMS KEY {id}")),
        3 => (group.clone(), id.clone()).prop_map(|(g, id)| format!("XACK KEY g{g} {id}")),
        3 => (group.clone(), consumer, id.clone(), count).prop_map(
            |(g, c, id, n)| format!("XAUTOCLAIM KEY g{g} c{c} 0 {id} COUNT {n}")
        ),
        1 => (group.clone(), id.clone())
            .prop_map(|(g, id)| format!("XGROUP CREATE KEY g{g} {id} MKSTREAM")),
        1 => group.clone().prop_map(|g| format!("XGROUP DESTROY KEY g{g}")),
        2 => group.prop_map(|g| format!("XPENDING KEY g{g}")),
        4 => Just("XINFO GROUPS KEY".to_owned()),
        1 => id.prop_map(|id| format!("XREAD STREAMS KEY {id}")),
        1 => Just("XRANGE KEY - +".to_owned()),
    ]
}

async fn compare(fake: &FakeRedis, real: &RedisCluster, commands: &[String]) {
    static PLAYED: AtomicU32 = AtomicU32::new(0);
    let key = format!("{{groups-{}}}:x", PLAYED.fetch_add(1, Ordering::Relaxed));
    for command in commands {
        let line = command.replace("KEY", &key);
        let (on_fake, on_real) = (play(fake, &line).await, play(real, &line).await);
        assert_eq!(
            on_fake, on_real,
            "{line}: left is the fake, right the server"
        );
    }
}

#[test]
fn streams_and_groups_reply_as_on_the_server_in_random_sequences() {
    let sequences = prop::collection::vec(command(), 1..60);
    run_sequences(256, &sequences, |(fake, real), commands| {
        Box::pin(compare(fake, real, commands))
    });
}
