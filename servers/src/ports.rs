//! Free loopback ports.
//!
//! Ports come from below the range that the kernel uses for outgoing connections.
//! In that range a client that reconnects while its server is down can be given
//! the server's port as its own, connect to itself, and keep the server out.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener},
};

use crate::ServersError;

const FIRST: u16 = 15_000;
const TRIES: u32 = 500;

/// Holds `count` free ports. Drop the listeners right before a server takes the
/// ports; another program may still be quicker, so the caller tries again.
pub(crate) fn hold(count: usize) -> Result<Vec<TcpListener>, ServersError> {
    let last = lowest_outgoing().saturating_sub(1).max(FIRST);
    let random = RandomState::new();
    let mut held = Vec::with_capacity(count);
    for attempt in 0..TRIES {
        let offset = random.hash_one(attempt) % u64::from(last - FIRST + 1);
        let port = FIRST + u16::try_from(offset).unwrap_or(0);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push(listener);
            if held.len() == count {
                return Ok(held);
            }
        }
    }
    Err(ServersError::NoFreePort {
        first: FIRST,
        last,
        tries: TRIES,
    })
}

/// The numbers of held ports; lets them go.
pub(crate) fn release(held: Vec<TcpListener>) -> Vec<u16> {
    held.iter()
        .filter_map(|listener| listener.local_addr().ok())
        .map(|address| address.port())
        .collect()
}

fn lowest_outgoing() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(32_768)
}
