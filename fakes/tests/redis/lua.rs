//! What Lua and Redis make of each other's values, and of errors.

use crate::support::{assert_same, fake, play, real};

#[tokio::test]
async fn values_of_lua_become_replies_as_on_the_server() {
    assert_same(&[
        r#"EVAL "return 3.99" 1 {lua}:k"#,
        r#"EVAL "return -3.99" 1 {lua}:k"#,
        r#"EVAL "return true" 1 {lua}:k"#,
        r#"EVAL "return false" 1 {lua}:k"#,
        r#"EVAL "return nil" 1 {lua}:k"#,
        r#"EVAL "return" 1 {lua}:k"#,
        r#"EVAL "return 'text'" 1 {lua}:k"#,
        r#"EVAL "return {1, 'a', {2, false, true}, nil, 4}" 1 {lua}:k"#,
        r#"EVAL "return {1, false, 3.7}" 1 {lua}:k"#,
        r#"EVAL "return {}" 1 {lua}:k"#,
        r#"EVAL "return {a = 1}" 1 {lua}:k"#,
        r#"EVAL "return {ok = 'FINE'}" 1 {lua}:k"#,
        r#"EVAL "return redis.status_reply('OK')" 1 {lua}:k"#,
        r#"EVAL "return {err = 'MINE went wrong'}" 1 {lua}:k"#,
        r#"EVAL "return redis.error_reply('MINE went wrong')" 1 {lua}:k"#,
        r#"EVAL "return redis.error_reply('-MINE went wrong')" 1 {lua}:k"#,
        r#"EVAL "return redis.error_reply('single')" 1 {lua}:k"#,
        r#"EVAL "return redis.error_reply('UNSEEDED sale')" 1 {lua}:k"#,
        r#"EVAL "return {KEYS[1], KEYS[2], ARGV[1], ARGV[2], #KEYS, #ARGV}" 2 {lua}:k {lua}:l x y"#,
        r#"EVAL "return redis.sha1hex('abc')" 1 {lua}:k"#,
    ])
    .await;
}

#[tokio::test]
async fn replies_become_values_of_lua_as_on_the_server() {
    assert_same(&[
        r#"EVAL "return tostring(redis.call('GET', KEYS[1]))" 1 {back}:none"#,
        r#"EVAL "return type(redis.call('HSET', KEYS[1], 'a', 1))" 1 {back}:h"#,
        r#"EVAL "return redis.call('SET', KEYS[1], 1).ok" 1 {back}:s"#,
        r#"EVAL "return redis.call('SET', KEYS[1], 1)" 1 {back}:s"#,
        r#"EVAL "return redis.call('HGETALL', KEYS[1])" 1 {back}:h"#,
        r#"EVAL "return type(redis.call('HMGET', KEYS[1], 'x', 'a')[1])" 1 {back}:h"#,
        r#"EVAL "return redis.call('HMGET', KEYS[1], 'x', 'a')" 1 {back}:h"#,
        r#"EVAL "return tostring(redis.call('XREAD', 'STREAMS', KEYS[1], 0))" 1 {back}:x"#,
        r#"EVAL "redis.call('HSET', KEYS[1], 'a', 3, 'b', 0.1, 'c', 1e15, 'd', 1e17, 'e', -2.5) return 1" 1 {back}:n"#,
        "HGETALL {back}:n",
        r#"EVAL "redis.call('HSET', KEYS[1], 'f', 1790000000123, 'g', 1/0, 'h', 2^53, 'i', 0.00001) return 1" 1 {back}:n"#,
        "HGETALL {back}:n",
    ])
    .await;
}

#[tokio::test]
async fn errors_in_scripts_are_as_on_the_server() {
    assert_same(&[
        "SET {err}:s 1",
        r#"EVAL "return redis.call('HGET', KEYS[1], 'a')" 1 {err}:s"#,
        r#"EVAL "return redis.pcall('HGET', KEYS[1], 'a')" 1 {err}:s"#,
        r#"EVAL "return type(redis.pcall('HGET', KEYS[1], 'a').err)" 1 {err}:s"#,
        r#"EVAL "local ok, e = pcall(redis.call, 'HGET', KEYS[1], 'a') return {tostring(ok), type(e)}" 1 {err}:s"#,
        r#"EVAL "return redis.call('NOSUCH', KEYS[1])" 1 {err}:s"#,
        r#"EVAL "return redis.call('GET')" 1 {err}:s"#,
        r#"EVAL "return redis.call('GET', {})" 1 {err}:s"#,
        r#"EVAL "return redis.call('GET', KEYS[1], nil)" 1 {err}:s"#,
        r#"EVAL "return nil + 1" 1 {err}:s"#,
        r#"EVAL "error('thrown')" 1 {err}:s"#,
        r#"EVAL "return unknown_global" 1 {err}:s"#,
        r#"EVAL "a_global = 1 return a_global" 1 {err}:s"#,
        r#"EVAL "this is not Lua" 1 {err}:s"#,
        r#"EVAL "redis.call('SET', KEYS[1], 2) error('written')" 1 {err}:s"#,
        "GET {err}:s",
        r#"EVAL "return 1" word {err}:s"#,
        r#"EVAL "return 1" 2 {err}:s"#,
        r#"EVAL "return 1" -1 {err}:s"#,
        "EVALSHA 0000000000000000000000000000000000000000 1 {err}:s",
    ])
    .await;
}

#[tokio::test]
async fn a_script_that_was_loaded_or_run_is_found() {
    let (fake, real) = (fake(), real().await);
    let sha = redis::Script::new("return {KEYS[1], ARGV[1]}")
        .get_hash()
        .to_owned();
    let load = redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg("return {KEYS[1], ARGV[1]}")
        .take();
    use flashsale_engine::redis::commands::Redis;
    let on_fake = fake.call_all_masters("test", &load).await;
    let on_real = real.call_all_masters("test", &load).await;
    for masters in [on_fake, on_real] {
        let answers: Vec<_> = masters.into_iter().map(|master| master.answer).collect();
        let expected = redis::Value::BulkString(sha.clone().into_bytes());
        assert_eq!(answers, [Ok(expected)]);
    }
    for line in [
        format!("EVALSHA {sha} 1 {{known}}:k x"),
        r#"EVAL "return 42" 1 {known}:k"#.to_owned(),
        format!(
            "EVALSHA {} 1 {{known}}:k",
            redis::Script::new("return 42").get_hash()
        ),
    ] {
        assert_eq!(play(&fake, &line).await, play(&real, &line).await, "{line}");
    }
}

/// A real server of one node does not refuse these: both keys are in its slots.
#[tokio::test]
async fn the_fake_refuses_keys_that_are_not_declared_or_not_in_one_slot() {
    let fake = fake();
    let undeclared = r#"EVAL "return redis.call('GET', '{strict}:other')" 1 {strict}:k"#;
    assert_eq!(play(&fake, undeclared).await, "error ERR");
    let caught = r#"EVAL "return redis.pcall('GET', '{strict}:other').err" 1 {strict}:k"#;
    assert!(play(&fake, caught).await.contains("expected a key of KEYS"));
    let two_slots = r#"EVAL "return 1" 2 {strict}:k {elsewhere}:k"#;
    assert_eq!(play(&fake, two_slots).await, "error CROSSSLOT");
    for command in ["DEL", "UNLINK", "EXISTS", "XREAD STREAMS"] {
        let line = format!("{command} {{strict}}:k {{elsewhere}}:k 0 0");
        assert_eq!(play(&fake, &line).await, "error CROSSSLOT", "{line}");
    }
}
