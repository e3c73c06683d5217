//! Adds items to the carts of one partition.

use crate::domain::cart::Added;
use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::redis::commands::Redis;
use crate::redis::keys::PartitionKeys;

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

/// Adds a batch in one script call and returns the id of its entry in the attempt stream, and the
/// answers in the same order. `requests` is what the entry holds of the batch; an empty text writes
/// no entry.
pub(crate) async fn add_to_cart(
    redis: &impl Redis,
    keys: &PartitionKeys,
    requests: &str,
    batch: impl ExactSizeIterator<Item = Add<'_>> + Clone,
) -> Result<(String, Vec<Added>), BackendError> {
    let mut answers: Vec<String> = super::ADD_TO_CART
        .of(keys.format)
        .call(redis, &keys.all(), |command| {
            command.arg(requests);
            for add in batch.clone() {
                command
                    .arg(add.user)
                    .arg(add.new_suffix.as_str())
                    .arg(add.idx);
            }
        })
        .await?;
    if answers.len() != batch.len() + 1 {
        return Err(BackendError::unexpected(
            "answer of add_to_cart.lua",
            "an entry id and an answer per request",
            answers,
        ));
    }
    let entry = answers.remove(0);
    let answers = answers.iter().map(|text| keys.format.decode_added(text));
    Ok((entry, answers.collect::<Result<_, _>>()?))
}
