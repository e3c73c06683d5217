//! Decides which items of a cart its code gets.

use crate::domain::cart::Cart;
use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::domain::ids::RequestId;
use crate::redis::codec::ClaimDecision;
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;

/// A frozen cart that asks for its items.
#[derive(Debug, Clone)]
pub(crate) struct ClaimRequest {
    /// Its code.
    pub suffix: CodeSuffix,
    /// What it holds.
    pub cart: Cart,
    /// The request that asks.
    pub request_id: RequestId,
}

/// Claims a batch of carts in one script call and returns the decisions in the same order.
pub(crate) async fn claim(
    redis: &impl Redis,
    keys: &SaleKeys,
    batch: &[ClaimRequest],
) -> Result<Vec<ClaimDecision>, BackendError> {
    let answers: Vec<String> = super::CLAIM
        .of(keys.format)
        .call(redis, &keys.all(), |command| {
            for request in batch {
                command
                    .arg(request.suffix.as_str())
                    .arg(&request.cart.user)
                    .arg(request.request_id.as_str())
                    .arg(&request.cart.items);
            }
        })
        .await?;
    if answers.len() != batch.len() + 1 {
        return Err(BackendError::unexpected(
            "answer of claim.lua",
            "a count and an answer per claim",
            answers,
        ));
    }
    let answers = answers[1..].iter();
    answers.map(|text| keys.format.decode_claim(text)).collect()
}
