//! Restores carts that Redis lost.

use crate::domain::cart::Cart;
use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::redis::commands::Redis;
use crate::redis::keys::PartitionKeys;

/// What a cart that is restored is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestoreAs {
    /// The user's latest: it is open.
    Latest,
    /// An earlier one: it is frozen.
    Earlier,
    /// One whose outcome is decided: it is frozen with exactly its items.
    Decided,
}

impl RestoreAs {
    const fn letter(self) -> &'static str {
        match self {
            Self::Latest => "o",
            Self::Earlier => "e",
            Self::Decided => "d",
        }
    }
}

/// A cart to restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RestoredCart {
    /// Its code.
    pub suffix: CodeSuffix,
    /// What it holds at least.
    pub cart: Cart,
    /// What it is.
    pub restore_as: RestoreAs,
}

/// Merges carts into one partition. Returns how many changed.
pub(crate) async fn restore_carts(
    redis: &impl Redis,
    keys: &PartitionKeys,
    carts: &[RestoredCart],
) -> Result<u64, BackendError> {
    let touched = [keys.meta.as_str(), &keys.carts, &keys.codes];
    super::RESTORE_CARTS
        .of(keys.format)
        .call(redis, &touched, |command| {
            for restored in carts {
                let Cart { user, items } = &restored.cart;
                command
                    .arg(restored.suffix.as_str())
                    .arg(user)
                    .arg(items)
                    .arg(restored.restore_as.letter());
            }
        })
        .await
}
