//! Keys, strings, bitmaps, hashes and lists.

use std::time::Duration;

use crate::support::{assert_same, fake, play, real};

#[tokio::test]
async fn hashes_reply_as_the_server_does() {
    assert_same(&[
        "HSET {hash}:h b 1 a 2 b 3",
        "HSET {hash}:h c 4",
        "HGET {hash}:h b",
        "HGET {hash}:h none",
        "HGET {hash}:none b",
        "HMGET {hash}:h a none c",
        "HMGET {hash}:none a b",
        "HGETALL {hash}:h",
        "HVALS {hash}:h",
        "HSCAN {hash}:h 0",
        "HSCAN {hash}:h 0 COUNT 10",
        "HSCAN {hash}:none 0",
        "HSCAN {hash}:h 0 NEVER",
        "HSCAN {hash}:h zero",
        "HKEYS {hash}:h",
        "HGETALL {hash}:none",
        "HVALS {hash}:none",
        "HLEN {hash}:h",
        "HLEN {hash}:none",
        "HEXISTS {hash}:h a",
        "HEXISTS {hash}:h none",
        "HEXISTS {hash}:none a",
        "HSETNX {hash}:h a 9",
        "HSETNX {hash}:h d 9",
        "HDEL {hash}:h b none c",
        "HGETALL {hash}:h",
        "HDEL {hash}:none b",
        "HINCRBY {hash}:h a 40",
        "HINCRBY {hash}:h new -1",
        "HSET {hash}:h word text max 9223372036854775807",
        "HINCRBY {hash}:h word 1",
        "HINCRBY {hash}:h max 1",
        "HINCRBY {hash}:h a 1.5",
        "HINCRBY {hash}:h a 01",
        "HDEL {hash}:h a d new word max",
        "EXISTS {hash}:h",
        "HSET {hash}:h a",
        "HSET {hash}:h a 1 b",
        "HGET {hash}:h",
        "HGETALL {hash}:h more",
    ])
    .await;
}

#[tokio::test]
async fn strings_and_bitmaps_reply_as_the_server_does() {
    assert_same(&[
        "GET {text}:s",
        "SET {text}:s one",
        "GET {text}:s",
        "SET {text}:s two NX",
        "SET {text}:s two XX",
        "SET {text}:new two XX",
        "SET {text}:new two nx px 100000",
        "GET {text}:new",
        "SET {text}:s x NX XX",
        "SET {text}:s x EX 0",
        "SET {text}:s x PX word",
        "SET {text}:s x NEVER",
        "SET {text}:s x EX",
        "GETBIT {text}:bits 7",
        "SETBIT {text}:bits 7 1",
        "SETBIT {text}:bits 7 1",
        "SETBIT {text}:bits 20 0",
        "GET {text}:bits",
        "SETBIT {text}:bits 8 1",
        "GETBIT {text}:bits 8",
        "GETBIT {text}:bits 8000",
        "BITCOUNT {text}:bits",
        "BITCOUNT {text}:bits 1 1",
        "BITCOUNT {text}:bits 0 -2",
        "BITCOUNT {text}:bits -1 -1",
        "BITCOUNT {text}:bits 2 1",
        "BITCOUNT {text}:bits 5 9",
        "BITCOUNT {text}:bits -9 9",
        "BITCOUNT {text}:none",
        "BITFIELD {text}:bits SET u1 3 1 SET u1 70 1 SET u1 3 0",
        "BITFIELD {text}:bits SET u1 70 1",
        "BITFIELD {text}:bits SET u1 3",
        "BITFIELD {text}:bits SET u1 none 1",
        "BITFIELD {text}:bits",
        "GET {text}:bits",
        "SETBIT {text}:bits 7 0",
        "GET {text}:bits",
        "SETBIT {text}:bits -1 1",
        "SETBIT {text}:bits 4294967296 1",
        "SETBIT {text}:bits 1 2",
        "SETBIT {text}:bits word 1",
        "GETBIT {text}:bits word",
        "SETBIT {text}:zero 3 0",
        "EXISTS {text}:zero",
    ])
    .await;
}

#[tokio::test]
async fn keys_reply_as_the_server_does() {
    assert_same(&[
        "TYPE {key}:none",
        "SET {key}:s 1",
        "HSET {key}:h a 1",
        "RPUSH {key}:l a",
        "XADD {key}:x 1-1 a 1",
        "TYPE {key}:s",
        "TYPE {key}:h",
        "TYPE {key}:l",
        "TYPE {key}:x",
        "EXISTS {key}:s {key}:h {key}:none {key}:s",
        "UNLINK {key}:s {key}:none {key}:s",
        "DEL {key}:h",
        "EXISTS {key}:s {key}:h",
        "PTTL {key}:none",
        "PTTL {key}:l",
        "EXPIRE {key}:none 10",
        "EXPIRE {key}:l 10",
        "PEXPIRE {key}:x 0",
        "EXISTS {key}:x",
        "EXPIRE {key}:l word",
        "SET {key}:s 1 EX 100",
        "SET {key}:s 2",
        "PTTL {key}:s",
        "NOSUCHCOMMAND {key}:s",
    ])
    .await;
}

#[tokio::test]
async fn lists_reply_as_the_server_does() {
    assert_same(&[
        "LPOP {list}:l",
        "RPUSH {list}:l a b c d",
        "RPUSH {list}:l e",
        "LLEN {list}:l",
        "LLEN {list}:none",
        "LRANGE {list}:l 1 2",
        "LRANGE {list}:l -2 -1",
        "LRANGE {list}:l 3 1",
        "LRANGE {list}:none 0 -1",
        "LPOP {list}:l",
        "LPOP {list}:l 2",
        "LPOP {list}:l -1",
        "LPOP {list}:l 9",
        "LPOP {list}:l 1",
        "EXISTS {list}:l",
    ])
    .await;
}

#[tokio::test]
async fn a_command_on_a_key_of_another_type_is_an_error() {
    assert_same(&[
        "SET {type}:s 1",
        "HSET {type}:h a 1",
        "HGET {type}:s a",
        "HSET {type}:s a 1",
        "HVALS {type}:s",
        "GETBIT {type}:h 1",
        "SETBIT {type}:h 1 1",
        "GET {type}:h",
        "RPUSH {type}:s a",
        "LPOP {type}:h",
        "XADD {type}:s * a 1",
        "XLEN {type}:h",
        "XREAD STREAMS {type}:h 0",
        "XGROUP CREATE {type}:s group 0 MKSTREAM",
        "XACK {type}:s group 1-1",
        "SET {type}:h now-a-string",
        "GET {type}:h",
    ])
    .await;
}

#[tokio::test]
async fn a_key_expires_on_both() {
    let (fake, real) = (fake(), real().await);
    for line in ["SET {expiry}:s 1 PX 30", "SET {expiry}:kept 1 PX 60000"] {
        assert_eq!(play(&fake, line).await, play(&real, line).await);
    }
    let gone = |reply: &str| reply == "nil";
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    for get in ["GET {expiry}:s"] {
        while !gone(&play(&fake, get).await) || !gone(&play(&real, get).await) {
            assert!(tokio::time::Instant::now() < deadline, "not expired");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    for line in ["GET {expiry}:kept", "SET {expiry}:s 2 NX"] {
        assert_eq!(play(&fake, line).await, play(&real, line).await);
    }
}
