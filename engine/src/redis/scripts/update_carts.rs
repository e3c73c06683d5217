//! Adds items to the carts of one partition, and freezes carts for their purchase.

use redis::Value;

use crate::domain::cart::{Added, Cart};
use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::redis::commands::{Redis, convert};
use crate::redis::keys::PartitionKeys;

/// What errors call the script.
const OPERATION: &str = "add";

/// One item for one user's cart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Add<'a> {
    /// Whose cart.
    pub user: &'a str,
    /// The code that the cart gets where the user has no open cart.
    pub new_suffix: CodeSuffix,
    /// The item's index in the catalogue.
    pub idx: u32,
}

/// What one script call changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CartUpdates<'a> {
    /// What the entry in the attempt stream holds of the added items; empty for no entry.
    pub requests: &'a str,
    /// Items to add.
    pub adds: &'a [Add<'a>],
    /// Codes of the carts to freeze.
    pub freezes: &'a [CodeSuffix],
}

/// What one script call did.
#[derive(Debug)]
pub(crate) struct UpdatedCarts {
    /// The id of the entry in the attempt stream.
    pub entry: String,
    /// An answer for each item, in order.
    pub added: Vec<Added>,
    /// A cart for each code, in order; none for a code that the partition does not hold.
    pub frozen: Vec<Option<Cart>>,
}

/// Updates carts in one script call.
pub(crate) async fn update_carts(
    redis: &impl Redis,
    keys: &PartitionKeys,
    updates: &CartUpdates<'_>,
) -> Result<UpdatedCarts, BackendError> {
    let CartUpdates {
        requests,
        adds,
        freezes,
    } = updates;
    let answers: Vec<Value> = super::UPDATE_CARTS
        .of(keys.format)
        .call(redis, &keys.all(), |command| {
            command.arg(requests).arg(adds.len());
            for add in *adds {
                command
                    .arg(add.user)
                    .arg(add.new_suffix.as_str())
                    .arg(add.idx);
            }
            for suffix in *freezes {
                command.arg(suffix.as_str());
            }
        })
        .await?;
    if answers.len() != 1 + adds.len() + freezes.len() {
        return Err(BackendError::unexpected(
            "answer of update_carts.lua",
            "an entry id and an answer per item and per code",
            answers,
        ));
    }
    let mut answers = answers.into_iter();
    let entry = convert(OPERATION, answers.next().unwrap_or(Value::Nil))?;
    let added = answers.by_ref().take(adds.len()).map(|answer| {
        let text: String = convert(OPERATION, answer)?;
        keys.format.decode_added(&text)
    });
    let added = added.collect::<Result<_, _>>()?;
    let frozen = answers.map(|answer| {
        let cart: Option<(String, String)> = convert(OPERATION, answer)?;
        Ok(cart.map(|(user, items)| Cart { user, items }))
    });
    Ok(UpdatedCarts {
        entry,
        added,
        frozen: frozen.collect::<Result<_, BackendError>>()?,
    })
}
