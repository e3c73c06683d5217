//! Commands on keys of any type, and on the server: `DEL`, `EXPIRE`, `SCAN`, `TIME`, `INFO`, ….

use redis::Value;

use crate::redis::arguments::Arguments;
use crate::redis::keyspace::Keyspace;
use crate::redis::reply::{CommandError, Reply, bulk, count, flag};

/// `DEL` and `UNLINK`.
pub(crate) fn del(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let keys = arguments.rest().iter();
    Ok(count(keys.filter(|key| keyspace.remove(key)).count()))
}

/// `EXISTS`: a key that is named twice counts twice.
pub(crate) fn exists(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let keys = arguments.rest().iter();
    Ok(count(
        keys.filter(|key| keyspace.data(key).is_some()).count(),
    ))
}

/// `TYPE`.
pub(crate) fn type_of(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let data = keyspace.data(arguments.next()?);
    let name = data.map_or("none", |data| data.type_name());
    Ok(Value::SimpleString(name.to_owned()))
}

/// `EXPIRE`.
pub(crate) fn expire(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    expire_after(keyspace, arguments, 1_000)
}

/// `PEXPIRE`.
pub(crate) fn pexpire(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    expire_after(keyspace, arguments, 1)
}

fn expire_after(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>, unit_ms: i64) -> Reply {
    let key = arguments.next()?;
    let wait_ms = arguments.next_integer()?.saturating_mul(unit_ms);
    arguments.end()?;
    if keyspace.data(key).is_none() {
        return Ok(flag(false));
    }
    if wait_ms <= 0 {
        keyspace.remove(key);
    } else {
        let expires_ms = keyspace.now_ms().saturating_add(wait_ms);
        keyspace.set_expiry(key, Some(expires_ms));
    }
    Ok(flag(true))
}

/// `PTTL`.
pub(crate) fn pttl(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let key = arguments.next()?;
    Ok(Value::Int(match keyspace.expires_ms(key) {
        Some(expires_ms) => expires_ms - keyspace.now_ms(),
        None if keyspace.data(key).is_some() => -1,
        None => -2,
    }))
}

/// `KEYS`.
pub(crate) fn keys(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let pattern = arguments.next()?;
    Ok(matching(keyspace, pattern))
}

/// `SCAN`: one answer holds all keys.
pub(crate) fn scan(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    arguments.next_integer()?;
    let mut pattern: &[u8] = b"*";
    while !arguments.is_empty() {
        if arguments.keyword("MATCH") {
            pattern = arguments.next()?;
        } else if arguments.keyword("COUNT") {
            arguments.next_integer()?;
        } else {
            return Err(CommandError::syntax());
        }
    }
    Ok(Value::Array(vec![bulk("0"), matching(keyspace, pattern)]))
}

fn matching(keyspace: &Keyspace, pattern: &[u8]) -> Value {
    let keys = keyspace.keys().filter(|key| matches_glob(pattern, key));
    Value::Array(keys.map(|key| bulk(key.clone())).collect())
}

/// `*` and `?` have their meaning; every other byte stands for itself.
fn matches_glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skip| matches_glob(rest, &text[skip..])),
        Some((b'?', rest)) => !text.is_empty() && matches_glob(rest, &text[1..]),
        Some((byte, rest)) => text.first() == Some(byte) && matches_glob(rest, &text[1..]),
    }
}

/// `FLUSHALL`.
pub(crate) fn flush_all(keyspace: &mut Keyspace, _: &mut Arguments<'_>) -> Reply {
    keyspace.clear();
    Ok(Value::Okay)
}

/// `PING`.
pub(crate) fn ping(_: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    Ok(match arguments.try_next() {
        Some(text) => bulk(text.clone()),
        None => Value::SimpleString("PONG".to_owned()),
    })
}

/// `TIME`.
pub(crate) fn time(keyspace: &mut Keyspace, _: &mut Arguments<'_>) -> Reply {
    let now_us = keyspace.now_us();
    let (seconds, rest_us) = (now_us / 1_000_000, now_us % 1_000_000);
    Ok(Value::Array(vec![
        bulk(seconds.to_string()),
        bulk(rest_us.to_string()),
    ]))
}

/// `INFO`: the lines that the engine reads, of all sections or of one.
pub(crate) fn info(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let section = arguments.try_next();
    let is_asked =
        |name: &str| section.is_none_or(|section| section.eq_ignore_ascii_case(name.as_bytes()));
    let mut lines = String::new();
    if is_asked("memory") {
        let policy = String::from_utf8_lossy(&keyspace.maxmemory_policy);
        let limit = keyspace.maxmemory;
        lines += &format!("# Memory\r\nmaxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n");
    }
    if is_asked("replication") {
        let id = keyspace.replication_id;
        lines += &format!("# Replication\r\nrole:master\r\nmaster_replid:{id:040x}\r\n");
    }
    Ok(bulk(lines))
}

/// `CLUSTER MYID`.
pub(crate) fn cluster(_: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    if !arguments.keyword("MYID") {
        return Err(CommandError::err("the fake has CLUSTER MYID alone"));
    }
    arguments.end()?;
    Ok(bulk("f".repeat(40)))
}

/// `CONFIG SET maxmemory-policy …` and `CONFIG SET maxmemory …`, for tests of a server that evicts.
pub(crate) fn config(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let is_set = arguments.keyword("SET");
    if is_set && arguments.keyword("maxmemory-policy") {
        keyspace.maxmemory_policy = arguments.next()?.clone();
    } else if is_set && arguments.keyword("maxmemory") {
        let limit = arguments.next_integer()?;
        keyspace.maxmemory = u64::try_from(limit).map_err(|_| CommandError::not_an_integer())?;
    } else {
        return Err(CommandError::err(
            "the fake has CONFIG SET maxmemory-policy and CONFIG SET maxmemory alone",
        ));
    }
    arguments.end()?;
    Ok(Value::Okay)
}
