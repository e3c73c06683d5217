//! Whether the master that holds a cart partition, or a sale's slot, has everything of it.

use crate::domain::error::BackendError;
use crate::redis::codec::Format;
use crate::redis::commands::Redis;

/// A master, by an id that it draws when it starts and when it becomes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MasterId(String);

/// Which master holds the keys, and whether it has everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    /// The master.
    pub master: MasterId,
    /// Whether it has everything. If not, every script of a cart partition refuses.
    pub is_whole: bool,
}

/// Checks what the hash `meta` describes. [`BackendError::Unseeded`] where Redis does not hold it.
pub(crate) async fn check_whole(
    redis: &impl Redis,
    meta: &str,
    format: Format,
) -> Result<Checked, BackendError> {
    let script = super::CHECK_WHOLE.of(format);
    let checked = script.call(redis, &[meta], |_| {}).await;
    checked.map(|(master, is_whole)| Checked {
        master: MasterId(master),
        is_whole,
    })
}

/// Marks what the hash `meta` describes as whole, if `master` still holds it. Returns whether it did.
pub(crate) async fn mark_whole(
    redis: &impl Redis,
    meta: &str,
    format: Format,
    master: &MasterId,
) -> Result<bool, BackendError> {
    super::MARK_WHOLE
        .of(format)
        .call(redis, &[meta], |command| {
            command.arg(&master.0);
        })
        .await
}
