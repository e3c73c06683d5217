//! HTTP/1.1 on one port.

pub mod connection_timer;
pub mod listener;
