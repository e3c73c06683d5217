//! Parts of the hot path for measurements: `cargo xtask budget` counts the instructions of some, each
//! alone, and `cargo xtask bench --case claims` measures the slot of a sale. No product code uses them.

use crate::domain::attempt::AttemptRequest;
use crate::domain::cart::Cart;
use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::domain::ids::RequestId;
use crate::domain::outcome::Outcome;
use crate::domain::sale::{Sale, SaleId};
use crate::redis::codec::{ClaimDecision, Format};
use crate::redis::commands::Redis;
use crate::redis::keys::{PartitionKeys, SaleKeys};
use crate::redis::scripts::claim::{ClaimRequest, claim};
use crate::redis::scripts::mark_ready::mark_sale_ready;
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

/// The slot of a sale.
#[derive(Debug)]
pub struct SaleSlot(SaleKeys);

/// A frozen cart that asks for its items.
#[derive(Debug)]
pub struct FrozenCart(ClaimRequest);

impl FrozenCart {
    /// A cart with these items, by index and separated by commas.
    pub fn new(suffix: CodeSuffix, user: String, items: String, request_id: RequestId) -> Self {
        Self(ClaimRequest {
            suffix,
            cart: Cart { user, items },
            request_id,
        })
    }
}

impl SaleSlot {
    /// The slot of this sale, in the newest format.
    pub fn new(sale: &SaleId) -> Self {
        Self(SaleKeys::new(sale, Format::CURRENT))
    }

    /// Makes it ready, as a seed does last.
    pub async fn open(&self, redis: &impl Redis, sale: &Sale) -> Result<(), BackendError> {
        mark_sale_ready(redis, &self.0, sale, "measured").await
    }

    /// Claims carts in one script call. Returns how many items were sold.
    pub async fn claim(
        &self,
        redis: &impl Redis,
        carts: Vec<FrozenCart>,
    ) -> Result<usize, BackendError> {
        let carts: Vec<ClaimRequest> = carts.into_iter().map(|cart| cart.0).collect();
        let decisions = claim(redis, &self.0, &carts).await?;
        let sold = |decision: &ClaimDecision| match decision {
            ClaimDecision::Decided { outcome, .. } => outcome.sold_count(),
            ClaimDecision::NotActive => 0,
        };
        Ok(decisions.iter().map(sold).sum())
    }
}
