//! The time-outs of the router.
//!
//! Guarantees: a call lasts longer than an attempt to connect, and longer than a silent node is waited
//! for.

use std::time::Duration;

/// The longest that any call to Redis may take, redirects and retries included.
pub const CALL_TIMEOUT: Duration = Duration::from_millis(1_500);

/// The longest that a connection may take until it can be used, TLS and login included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(750);

/// How long a node may answer nothing while a call waits. Longer than a busy machine keeps a
/// healthy node waiting, shorter than any failover.
pub(super) const SILENCE_LIMIT: Duration = Duration::from_millis(750);

/// How long a call goes on to wait for a node that is away by then. Calls that come later fail at once,
/// and those that wait in a lane behind it fail soon after it: the fewer they are, the less work their
/// failure is for a machine that is busy with other slots.
pub(super) const LATE_ANSWER_LIMIT: Duration = Duration::from_millis(250);

/// How long a node may refuse everything for now (`LOADING`, `CLUSTERDOWN`) while calls wait for it.
pub(super) const REFUSAL_LIMIT: Duration = Duration::from_millis(750);

/// How long an importing node that is away stays among the routes, though the slot map lacks it.
pub(super) const KEEP_AWAY: Duration = Duration::from_secs(60);

/// How long a probe waits: longer than healthy nodes of a busy machine take, so that such a node
/// is found to be back.
pub(super) const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// How long one node may take to answer with its slot map.
pub(super) const SLOT_MAP_LIMIT: Duration = Duration::from_millis(300);

// After one node that hangs, or cannot be reached, a call still has time for another.
const _: () = assert!(CONNECT_TIMEOUT.as_millis() < CALL_TIMEOUT.as_millis());
const _: () = assert!(SILENCE_LIMIT.as_millis() < CALL_TIMEOUT.as_millis());
