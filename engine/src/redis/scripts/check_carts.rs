//! Whether the master that holds a cart partition has all of its carts.

use crate::domain::error::BackendError;
use crate::redis::commands::Redis;
use crate::redis::keys::PartitionKeys;

/// A master, by an id that it draws when it starts and when it becomes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MasterId(String);

/// What a partition's master is, and whether the carts on it are whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    /// The master.
    pub master: MasterId,
    /// Whether it has all carts. If not, every script on the partition refuses.
    pub is_whole: bool,
}

/// Checks the carts of a partition. [`BackendError::Unseeded`] where Redis does not hold it.
pub(crate) async fn check_carts(
    redis: &impl Redis,
    keys: &PartitionKeys,
) -> Result<Checked, BackendError> {
    let script = super::CHECK_CARTS.of(keys.format);
    let checked = script.call(redis, &[&keys.meta], |_| {}).await;
    checked.map(|(master, is_whole)| Checked {
        master: MasterId(master),
        is_whole,
    })
}

/// Marks the carts of a partition as whole, if `master` still holds it. Returns whether it did.
pub(crate) async fn mark_carts_whole(
    redis: &impl Redis,
    keys: &PartitionKeys,
    master: &MasterId,
) -> Result<bool, BackendError> {
    super::MARK_CARTS_WHOLE
        .of(keys.format)
        .call(redis, &[&keys.meta], |command| {
            command.arg(&master.0);
        })
        .await
}
