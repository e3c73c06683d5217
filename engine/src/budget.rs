//! Parts of the hot path that `cargo xtask budget` counts the instructions of, each alone. No
//! product code uses them.

use crate::domain::attempt::AttemptRequest;
use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::domain::outcome::Outcome;
use crate::domain::sale::SaleId;
use crate::redis::codec::Format;
use crate::redis::commands::Redis;
use crate::redis::keys::PartitionKeys;
use crate::redis::scripts::update_carts::{self, Add, CartUpdates};

/// Encodes attempts as an entry of an attempt stream holds them.
pub fn encode_attempts(requests: &[AttemptRequest]) -> String {
    Format::CURRENT.encode_requests(requests.iter())
}

/// Decodes what [`encode_attempts`] wrote.
pub fn decode_attempts(text: &str) -> Result<Vec<AttemptRequest>, BackendError> {
    Format::CURRENT.decode_requests(text)
}

/// Encodes an outcome as Redis holds it.
pub fn encode_outcome(outcome: &Outcome) -> String {
    Format::CURRENT.encode_outcome(outcome)
}

/// Decodes what [`encode_outcome`] wrote.
pub fn decode_outcome(text: &str) -> Result<Outcome, BackendError> {
    Format::CURRENT.decode_outcome(text)
}

/// The keys of a cart partition.
#[derive(Debug)]
pub struct CartPartition(PartitionKeys);

impl CartPartition {
    /// The only partition of a sale.
    pub fn new(sale: &SaleId) -> Option<Self> {
        let mut partitions = PartitionKeys::of_sale(sale, 1, Format::CURRENT);
        partitions.next().map(Self)
    }

    /// Adds an item to a cart: builds the command, and reads its answer. Returns how many answers
    /// there are.
    pub async fn add(
        &self,
        redis: &impl Redis,
        attempts: &str,
        user: &str,
        (new_suffix, idx): (CodeSuffix, u32),
    ) -> Result<usize, BackendError> {
        let adds = [Add {
            user,
            new_suffix,
            idx,
        }];
        let updates = CartUpdates {
            requests: attempts,
            adds: &adds,
            freezes: &[],
        };
        let updated = update_carts::update_carts(redis, &self.0, &updates).await?;
        Ok(updated.added.len())
    }
}
