//! The HTTP/1.1 server of one port.
//!
//! Guarantees: the number of connections and each wait for a client are limited, and the drain at
//! the end drops no request that a client has sent.

mod client_stream;
mod connection;
mod connection_timer;
mod listener;

pub use connection_timer::ConnectionTimeouts;
pub use listener::{Limits, Listener};
