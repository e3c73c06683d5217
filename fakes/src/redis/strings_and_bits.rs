//! Commands on strings, and on strings as bitmaps.

use redis::Value;

use crate::redis::arguments::{Arguments, parse_integer};
use crate::redis::keyspace::{Data, Keyspace, Text};
use crate::redis::reply::{CommandError, Reply, bulk_or_nil, flag};

/// The highest bit of a string of 512 MiB.
const MAX_BIT: i64 = (1 << 32) - 1;

/// `GET`.
pub(crate) fn get(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let text = keyspace.read::<Text>(arguments.next()?)?;
    Ok(bulk_or_nil(text.map(|text| &text.0)))
}

/// `SET` with `NX`, `XX`, `EX`, `PX` and `KEEPTTL`.
pub(crate) fn set(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let (key, value) = (arguments.next()?, arguments.next()?);
    let (mut only_new, mut only_old, mut keep) = (false, false, false);
    let mut wait_ms = None;
    while !arguments.is_empty() {
        if arguments.keyword("NX") {
            only_new = true;
        } else if arguments.keyword("XX") {
            only_old = true;
        } else if arguments.keyword("KEEPTTL") {
            keep = true;
        } else if arguments.keyword("EX") {
            wait_ms = Some(arguments.next_integer()?.saturating_mul(1_000));
        } else if arguments.keyword("PX") {
            wait_ms = Some(arguments.next_integer()?);
        } else {
            return Err(CommandError::syntax());
        }
    }
    if (only_new && only_old) || (keep && wait_ms.is_some()) {
        return Err(CommandError::syntax());
    }
    if wait_ms.is_some_and(|wait_ms| wait_ms <= 0) {
        return Err(CommandError::err("invalid expire time in 'set' command"));
    }
    let exists = keyspace.data(key).is_some();
    if (only_new && exists) || (only_old && !exists) {
        return Ok(Value::Nil);
    }
    let kept = keyspace.expires_ms(key).filter(|_| keep);
    let now_ms = keyspace.now_ms();
    let expires_ms = wait_ms.map(|wait_ms| now_ms.saturating_add(wait_ms));
    keyspace.replace(key, Data::Text(Text(value.clone())));
    keyspace.set_expiry(key, expires_ms.or(kept));
    Ok(Value::Okay)
}

/// `GETBIT`.
pub(crate) fn getbit(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let key = arguments.next()?;
    let (byte, mask) = bit_position(arguments)?;
    let text = keyspace.read::<Text>(key)?;
    let found = text.and_then(|text| text.0.get(byte));
    Ok(flag(found.is_some_and(|byte| byte & mask != 0)))
}

/// `SETBIT`: the string grows to hold the bit, whatever its value.
pub(crate) fn setbit(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let key = arguments.next()?;
    let (byte, mask) = bit_position(arguments)?;
    let on = match arguments.next()?.as_slice() {
        b"0" => false,
        b"1" => true,
        _ => {
            return Err(CommandError::err("bit is not an integer or out of range"));
        }
    };
    let text = &mut keyspace.write::<Text>(key)?.0;
    Ok(flag(put_bit(text, (byte, mask), on)))
}

/// `BITFIELD` with `SET u1`: the bits before, in the order of the operations.
pub(crate) fn bitfield(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let key = arguments.next()?;
    let mut writes = Vec::new();
    while !arguments.is_empty() {
        if !(arguments.keyword("SET") && arguments.keyword("u1")) {
            return Err(CommandError::err("this fake knows BITFIELD with SET u1"));
        }
        let at = bit_position(arguments)?;
        // The lowest bit of the number is kept.
        writes.push((at, arguments.next_integer()? & 1 == 1));
    }
    if writes.is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    let text = &mut keyspace.write::<Text>(key)?.0;
    let before = writes.into_iter().map(|(at, on)| put_bit(text, at, on));
    Ok(Value::Array(before.map(flag).collect()))
}

/// Writes a bit and returns the one before.
fn put_bit(text: &mut Vec<u8>, (byte, mask): (usize, u8), on: bool) -> bool {
    if text.len() <= byte {
        text.resize(byte + 1, 0);
    }
    let before = text[byte] & mask != 0;
    if on {
        text[byte] |= mask;
    } else {
        text[byte] &= !mask;
    }
    before
}

/// The byte of a bit, and the bit in it: bit 0 is the highest of the first byte.
fn bit_position(arguments: &mut Arguments<'_>) -> Result<(usize, u8), CommandError> {
    let out_of_range = || CommandError::err("bit offset is not an integer or out of range");
    let offset = parse_integer(arguments.next()?)
        .filter(|offset| (0..=MAX_BIT).contains(offset))
        .ok_or_else(out_of_range)?;
    let byte = usize::try_from(offset >> 3).map_err(|_| out_of_range())?;
    Ok((byte, 0x80 >> (offset & 7)))
}

/// `BITCOUNT`, of all bytes or of a range of them.
pub(crate) fn bitcount(keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
    let key = arguments.next()?;
    let range = if arguments.is_empty() {
        None
    } else {
        Some((arguments.next_integer()?, arguments.next_integer()?))
    };
    arguments.end()?;
    let Some(Text(bytes)) = keyspace.read::<Text>(key)? else {
        return Ok(Value::Int(0));
    };
    let counted = match range {
        None => &bytes[..],
        Some((start, end)) => slice(bytes, start, end),
    };
    let ones = counted.iter().map(|byte| i64::from(byte.count_ones()));
    Ok(Value::Int(ones.sum()))
}

/// The bytes from `start` to `end`, both included; a negative index counts from the end.
fn slice(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let index = |i: i64| if i < 0 { (length + i).max(0) } else { i };
    let (start, end) = (index(start), index(end).min(length - 1));
    if start > end {
        return &[];
    }
    // Both lie between 0 and the length.
    &bytes[start as usize..=end as usize]
}
