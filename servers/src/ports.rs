//! Free loopback ports.
//!
//! Ports come from outside the range that the kernel uses for outgoing connections.
//! In that range a client that reconnects while its server is down can be given
//! the server's port as its own, connect to itself, and keep the server out.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener},
    ops::RangeInclusive,
};

use crate::ServersError;

const FIRST: u16 = 15_000;
const LAST: u16 = u16::MAX;
/// Fewer candidates than this would be taken soon, by servers side by side.
const ENOUGH: u16 = 2_000;
const TRIES: u32 = 500;
/// What Linux has unless it was told otherwise.
const OUTGOING: RangeInclusive<u16> = 32_768..=60_999;

/// Holds `count` free ports, all different. Drop a listener right before a server takes
/// its port; another program may still be quicker, so the caller tries again.
pub(crate) fn hold(count: usize) -> Result<Vec<TcpListener>, ServersError> {
    let candidates = candidates(&outgoing());
    let (first, last) = (*candidates.start(), *candidates.end());
    let random = RandomState::new();
    let mut held = Vec::with_capacity(count);
    for attempt in 0..TRIES {
        let offset = random.hash_one(attempt) % (u64::from(last - first) + 1);
        let port = first + u16::try_from(offset).unwrap_or(0);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push(listener);
            if held.len() == count {
                return Ok(held);
            }
        }
    }
    Err(ServersError::NoFreePort {
        first,
        last,
        tries: TRIES,
    })
}

/// The number of a held port; lets it go.
pub(crate) fn release(held: TcpListener) -> u16 {
    held.local_addr().map_or(0, |address| address.port())
}

/// Below the range of outgoing connections, else above it. Where it leaves no room, and
/// some machines give it everything from 1,024 up, a port inside it is still better than none.
fn candidates(outgoing: &RangeInclusive<u16>) -> RangeInclusive<u16> {
    let below = FIRST..=outgoing.start().saturating_sub(1);
    let above = outgoing.end().saturating_add(1).max(FIRST)..=LAST;
    [below, above]
        .into_iter()
        .find(|range| range.len() >= usize::from(ENOUGH))
        .unwrap_or(FIRST..=LAST)
}

fn outgoing() -> RangeInclusive<u16> {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| {
            let mut ends = range.split_whitespace().map(str::parse);
            Some(ends.next()?.ok()?..=ends.next()?.ok()?)
        })
        .unwrap_or(OUTGOING)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn there_is_always_room_and_outside_the_outgoing_range_where_it_leaves_some() {
        assert_eq!(candidates(&OUTGOING), 15_000..=32_767);
        assert_eq!(candidates(&(10_000..=40_000)), 40_001..=65_535);
        // These leave nothing, or next to nothing.
        for greedy in [1_024..=65_535, 15_001..=65_535, 16_000..=64_000, 0..=65_535] {
            assert_eq!(candidates(&greedy), 15_000..=65_535, "{greedy:?}");
        }
    }

    #[test]
    fn ports_held_together_are_all_different() {
        let ports: HashSet<u16> = hold(40).unwrap().into_iter().map(release).collect();
        assert_eq!(ports.len(), 40);
        assert!(!ports.contains(&0));
    }
}
