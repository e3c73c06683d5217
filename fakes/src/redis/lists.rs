//! Commands on lists.

use redis::Value;

use crate::redis::arguments::{Arguments, parse_integer};
use crate::redis::keyspace::{Keyspace, List};
use crate::redis::reply::{CommandError, Reply, bulk, count};

/// `RPUSH`.
pub(crate) fn rpush(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let list = &mut keyspace.write::<List>(arguments.next()?)?.0;
    list.extend(arguments.rest().iter().cloned());
    Ok(count(list.len()))
}

/// `LPOP`, of one element or of several; an empty list is gone.
pub(crate) fn lpop(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let key = arguments.next()?;
    let out_of_range = || CommandError::err("value is out of range, must be positive");
    let read_limit = |text: &Vec<u8>| {
        let limit = parse_integer(text).and_then(|limit| usize::try_from(limit).ok());
        limit.ok_or_else(out_of_range)
    };
    let limit = arguments.try_next().map(read_limit).transpose()?;
    arguments.end()?;
    let Some(list) = keyspace.existing::<List>(key)? else {
        return Ok(Value::Nil);
    };
    let popped = match limit {
        None => list.0.pop_front().map_or(Value::Nil, bulk),
        Some(limit) => {
            let limit = limit.min(list.0.len());
            Value::Array(list.0.drain(..limit).map(bulk).collect())
        }
    };
    keyspace.remove_if_empty(key);
    Ok(popped)
}

/// `LLEN`.
pub(crate) fn llen(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let list = keyspace.read::<List>(arguments.next()?)?;
    Ok(count(list.map_or(0, |list| list.0.len())))
}

/// `LRANGE`: from `start` to `stop`, both included; a negative index counts from the end.
pub(crate) fn lrange(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let key = arguments.next()?;
    let (start, stop) = (arguments.next_integer()?, arguments.next_integer()?);
    let Some(List(list)) = keyspace.read::<List>(key)? else {
        return Ok(Value::Array(Vec::new()));
    };
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let index = |i: i64| if i < 0 { (length + i).max(0) } else { i };
    let (start, stop) = (index(start), index(stop).min(length - 1));
    let shown = list.iter().enumerate().filter(|(i, _)| {
        let i = i64::try_from(*i).unwrap_or(i64::MAX);
        (start..=stop).contains(&i)
    });
    Ok(Value::Array(
        shown.map(|(_, element)| bulk(element.clone())).collect(),
    ))
}
