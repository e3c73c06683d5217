//! Redis: the seam ([`commands::Redis`]) that everything else uses, the router to a Redis Cluster,
//! the names of keys, the codec, the streams, and one Rust file for each script.
//!
//! Guarantees: every command names the key that it is addressed by, and all keys of one script
//! call share its slot; every wait is bounded; errors and time-outs are values; what is written to
//! Redis passes through [`codec`].

pub(crate) mod carts;
pub mod cluster;
pub(crate) mod codec;
pub mod commands;
pub mod eviction_policy;
pub(crate) mod full_coverage;
pub(crate) mod keys;
pub(crate) mod registry;
pub(crate) mod restart_detection;
pub(crate) mod restore_lease;
pub(crate) mod sale_state;
pub(crate) mod scripts;
pub(crate) mod streams;
