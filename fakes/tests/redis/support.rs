//! A fake and a real Redis, and commands that are played on both.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use flashsale_engine::redis::commands::Redis;
use flashsale_engine::{BackendError, Certificates, Metrics, RedisCluster, SystemClock};
use flashsale_fakes::FakeRedis;
use flashsale_servers::RedisCluster as Servers;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use redis::Value;

/// A fake that has the machine's time, as the real server has.
pub fn fake() -> FakeRedis {
    FakeRedis::new(SystemClock::clock())
}

/// A connection to the server that the tests of this program share.
pub async fn real() -> RedisCluster {
    static SHARED: OnceLock<Servers> = OnceLock::new();
    let servers = tokio::task::spawn_blocking(|| SHARED.get_or_init(|| Servers::single().unwrap()));
    let url = servers.await.unwrap().url();
    let metrics = Arc::new(Metrics::new().unwrap());
    let connected =
        RedisCluster::connect(&url, &Certificates::NONE, metrics, SystemClock::clock()).await;
    connected.unwrap()
}

/// Plays commands on both and compares each reply. Keys of a test share a hash tag of its own.
pub async fn assert_same(lines: &[&str]) {
    let (fake, real) = (fake(), real().await);
    for line in lines {
        let on_fake = play(&fake, line).await;
        let on_real = play(&real, line).await;
        assert_eq!(
            on_fake, on_real,
            "{line}: left is the fake, right the server"
        );
    }
}

/// Runs one command; its words are divided by blanks, and quotes keep blanks inside.
pub async fn play(redis: &impl Redis, line: &str) -> String {
    let words = split(line);
    let mut command = redis::cmd(&words[0]);
    command.arg(&words[1..]);
    let key = words
        .iter()
        .find(|word| word.starts_with('{') && word.contains("}:"));
    let key = key.map_or("{any}", |key| key.as_str());
    show(&redis.call("test", key, &command).await)
}

/// A reply as text: values whole, errors by their code.
pub fn show(reply: &Result<Value, BackendError>) -> String {
    match reply {
        Ok(value) => format!("{value:?}"),
        Err(BackendError::Redis { code, .. }) => {
            format!("error {}", code.as_deref().unwrap_or("without a code"))
        }
        Err(error) => format!("error {error:?}"),
    }
}

fn split(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let words = parts.flat_map(|(place, part)| -> Vec<String> {
        if place % 2 == 1 {
            vec![part.to_owned()]
        } else {
            part.split_whitespace().map(str::to_owned).collect()
        }
    });
    words.collect()
}

/// What a key holds, in an order of its own: a large hash of a server has none.
pub async fn contents(redis: &impl Redis, key: &str) -> String {
    let call = async |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        redis.call("test", key, &command).await.unwrap()
    };
    match call(&["TYPE", key]).await {
        Value::SimpleString(kind) if kind == "hash" => {
            let pairs: BTreeMap<Vec<u8>, Vec<u8>> =
                redis::from_redis_value(call(&["HGETALL", key]).await).unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let pairs = pairs.iter().map(|(k, v)| (text(k), text(v)));
            format!("{:?}", pairs.collect::<Vec<_>>())
        }
        Value::SimpleString(kind) if kind == "string" => {
            format!("{:?}", call(&["GET", key]).await)
        }
        Value::SimpleString(kind) if kind == "list" => {
            format!("{:?}", call(&["LRANGE", key, "0", "-1"]).await)
        }
        Value::SimpleString(kind) if kind == "stream" => {
            format!("{:?}", call(&["XRANGE", key, "-", "+"]).await)
        }
        other => format!("{other:?}"),
    }
}

/// Replaces what depends on the time: each number of 13 digits, with the sequence number of a stream
/// id behind it.
pub fn hide_times(text: &str) -> String {
    let mut hidden = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        hidden.push_str(&rest[..start]);
        let mut end = start + digits_at(&rest[start..]);
        if end - start == 13 {
            if rest[end..].starts_with('-') {
                end += 1 + digits_at(&rest[end + 1..]);
            }
            hidden.push_str("<time>");
        } else {
            hidden.push_str(&rest[start..end]);
        }
        rest = &rest[end..];
    }
    hidden + rest
}

fn digits_at(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Plays random sequences, always the same ones. `compare` panics where the two differ.
pub fn run_sequences<T: std::fmt::Debug>(
    cases: u32,
    sequences: &impl Strategy<Value = Vec<T>>,
    compare: impl for<'a> Fn(
        &'a (FakeRedis, RedisCluster),
        &'a [T],
    ) -> Pin<Box<dyn Future<Output = ()> + 'a>>,
) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let backends = runtime.block_on(async { (fake(), real().await) });
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let compared = runner.run(sequences, |steps| {
        runtime.block_on(compare(&backends, &steps));
        Ok(())
    });
    compared.unwrap();
}

/// Replaces the ids of masters, 40 hexadecimal digits each, which every server draws for itself.
pub fn hide_masters(text: &str) -> String {
    let mut hidden = String::new();
    let mut digits = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_hexdigit() {
            digits.push(c);
            continue;
        }
        match digits.len() {
            40 => hidden.push_str("<master>"),
            _ => hidden.push_str(&digits),
        }
        digits.clear();
        hidden.push(c);
    }
    hidden
}
