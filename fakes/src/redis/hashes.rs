//! Commands on hashes.

use redis::Value;

use crate::redis::arguments::{Arguments, parse_integer};
use crate::redis::keyspace::{Hash, Keyspace};
use crate::redis::reply::{CommandError, Reply, bulk, bulk_or_nil, count, flag};

/// `HGET`.
pub(crate) fn hget(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let hash = keyspace.read::<Hash>(arguments.next()?)?;
    let field = arguments.next()?;
    Ok(bulk_or_nil(hash.and_then(|hash| hash.0.get(field))))
}

/// `HMGET`.
pub(crate) fn hmget(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let hash = keyspace.read::<Hash>(arguments.next()?)?;
    let value = |field: &Vec<u8>| bulk_or_nil(hash.and_then(|hash| hash.0.get(field)));
    Ok(Value::Array(arguments.rest().iter().map(value).collect()))
}

/// `HGETALL`: fields and values in turn.
pub(crate) fn hgetall(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let hash = keyspace.read::<Hash>(arguments.next()?)?;
    let pairs = hash.into_iter().flat_map(|hash| &hash.0);
    let both = pairs.flat_map(|(field, value)| [bulk(field.clone()), bulk(value.clone())]);
    Ok(Value::Array(both.collect()))
}

/// `HVALS`.
pub(crate) fn hvals(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let hash = keyspace.read::<Hash>(arguments.next()?)?;
    let values = hash.into_iter().flat_map(|hash| hash.0.values());
    Ok(Value::Array(
        values.map(|value| bulk(value.clone())).collect(),
    ))
}

/// `HKEYS`.
pub(crate) fn hkeys(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let hash = keyspace.read::<Hash>(arguments.next()?)?;
    let fields = hash.into_iter().flat_map(|hash| hash.0.keys());
    Ok(Value::Array(
        fields.map(|field| bulk(field.clone())).collect(),
    ))
}

/// `HSCAN`: one answer holds all fields with their values.
pub(crate) fn hscan(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let hash = keyspace.read::<Hash>(arguments.next()?)?;
    arguments.next_integer()?;
    if arguments.keyword("COUNT") {
        arguments.next_integer()?;
    }
    arguments.end()?;
    let pairs = hash.into_iter().flat_map(|hash| &hash.0);
    let both = pairs.flat_map(|(field, value)| [bulk(field.clone()), bulk(value.clone())]);
    Ok(Value::Array(vec![bulk("0"), Value::Array(both.collect())]))
}

/// `HLEN`.
pub(crate) fn hlen(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let hash = keyspace.read::<Hash>(arguments.next()?)?;
    Ok(count(hash.map_or(0, |hash| hash.0.len())))
}

/// `HEXISTS`.
pub(crate) fn hexists(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let hash = keyspace.read::<Hash>(arguments.next()?)?;
    let field = arguments.next()?;
    Ok(flag(hash.is_some_and(|hash| hash.0.contains_key(field))))
}

/// `HSET`: returns how many fields are new.
pub(crate) fn hset(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let key = arguments.next()?;
    let pairs = arguments.rest();
    if !pairs.len().is_multiple_of(2) {
        return Err(CommandError::err(
            "wrong number of arguments for 'hset' command",
        ));
    }
    let hash = &mut keyspace.write::<Hash>(key)?.0;
    let before = hash.len();
    for pair in pairs.chunks_exact(2) {
        hash.insert(pair[0].clone(), pair[1].clone());
    }
    Ok(count(hash.len() - before))
}

/// `HSETNX`.
pub(crate) fn hsetnx(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let key = arguments.next()?;
    let (field, value) = (arguments.next()?, arguments.next()?);
    let hash = &mut keyspace.write::<Hash>(key)?.0;
    let is_new = !hash.contains_key(field);
    if is_new {
        hash.insert(field.clone(), value.clone());
    }
    Ok(flag(is_new))
}

/// `HDEL`: the other fields keep their order, and an empty hash is gone.
pub(crate) fn hdel(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let key = arguments.next()?;
    let Some(hash) = keyspace.existing::<Hash>(key)? else {
        return Ok(count(0));
    };
    let fields = arguments.rest().iter();
    let deleted = fields.filter(|field| hash.0.shift_remove(*field).is_some());
    let deleted = deleted.count();
    keyspace.remove_if_empty(key);
    Ok(count(deleted))
}

/// `HINCRBY`.
pub(crate) fn hincrby(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let (key, field) = (arguments.next()?, arguments.next()?);
    let increment = arguments.next_integer()?;
    let hash = keyspace.read::<Hash>(key)?;
    let before = match hash.and_then(|hash| hash.0.get(field)) {
        None => 0,
        Some(text) => {
            parse_integer(text).ok_or_else(|| CommandError::err("hash value is not an integer"))?
        }
    };
    let after = before
        .checked_add(increment)
        .ok_or_else(|| CommandError::err("increment or decrement would overflow"))?;
    let hash = &mut keyspace.write::<Hash>(key)?.0;
    hash.insert(field.clone(), after.to_string().into_bytes());
    Ok(Value::Int(after))
}
