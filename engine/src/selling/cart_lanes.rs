//! The lanes of carts: one for each cart partition of a sale.
//!
//! Guarantees: what [`CartLanes::add`] returns is in the partition's attempt stream first. A cart
//! reserves nothing.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::domain::attempt::{Attempt, AttemptRequest};
use crate::domain::cart::{Added, Cart};
use crate::domain::code::CodeSuffix;
use crate::domain::error::{BackendError, SharedError};
use crate::domain::ids::{ItemId, RequestId, UserId};
use crate::domain::sale::{Sale, SaleId};
use crate::postgres::operations::Postgres;
use crate::redis::carts;
use crate::redis::codec::Format;
use crate::redis::commands::Redis;
use crate::redis::keys::PartitionKeys;
use crate::redis::scripts::add_to_cart::{Add, add_to_cart};
use crate::redis::scripts::freeze::freeze;
use crate::selling::attempt_log::{Answered, AttemptLog};
use crate::selling::context::Context;
use crate::selling::lane::{Lane, LaneLimits};

const LANE_LIMITS: LaneLimits = LaneLimits {
    batch: 64,
    queue: 4_096,
};

/// One item for one user's cart.
#[derive(Debug, Clone)]
pub(crate) struct AddRequest {
    /// Whose cart.
    pub user: UserId,
    /// The item, as the client named it.
    pub item: ItemId,
    /// The item's index in the catalogue.
    pub idx: u32,
    /// The request that asks.
    pub request_id: RequestId,
}

/// The lanes of all cart partitions of a sale.
#[derive(Debug)]
pub(crate) struct CartLanes<R> {
    keys: Vec<Arc<PartitionKeys>>,
    lanes: Vec<Lane<AddRequest, Added>>,
    redis: R,
}

impl<R: Redis> CartLanes<R> {
    /// Starts a lane for every partition.
    pub(crate) fn start<P: Postgres>(
        sale: &Sale,
        format: Format,
        context: &Arc<Context<R, P>>,
        log: &Arc<AttemptLog>,
        stop: &CancellationToken,
    ) -> Self {
        let keys: Vec<Arc<PartitionKeys>> = (0..sale.partitions)
            .map(|partition| Arc::new(PartitionKeys::new(&sale.id, partition, format)))
            .collect();
        let sale_id = Arc::new(sale.id.clone());
        let lanes = (0..).zip(&keys).map(|(number, keys)| {
            let partition = Arc::new(Partition {
                sale: sale_id.clone(),
                best_effort: sale.best_effort,
                number,
                stream: keys.attempts.as_str().into(),
                keys: keys.clone(),
                log: log.clone(),
                context: context.clone(),
            });
            let call = move |batch| {
                let partition = partition.clone();
                async move { partition.add(batch).await }
            };
            Lane::start("cart lane", LANE_LIMITS, &context.tasks, stop, call)
        });
        Self {
            lanes: lanes.collect(),
            keys,
            redis: context.redis.clone(),
        }
    }

    /// Adds an item to a user's cart, which is in `partition`.
    pub(crate) async fn add(
        &self,
        partition: u16,
        request: AddRequest,
    ) -> Result<Added, SharedError> {
        match self.lanes.get(usize::from(partition)) {
            Some(lane) => lane.ask(request).await,
            None => Err(Arc::new(BackendError::unexpected(
                "cart partition",
                "one that the sale has",
                partition,
            ))),
        }
    }

    /// Freezes the cart of a code; none for a code that Redis does not hold.
    pub(crate) async fn freeze(&self, suffix: &CodeSuffix) -> Result<Option<Cart>, BackendError> {
        match self.keys_of(suffix) {
            Some(keys) => freeze(&self.redis, keys, suffix).await,
            None => Ok(None),
        }
    }

    /// Reads the cart of a code, open or frozen, without changing it.
    pub(crate) async fn read(&self, suffix: &CodeSuffix) -> Result<Option<Cart>, BackendError> {
        match self.keys_of(suffix) {
            Some(keys) => carts::read(&self.redis, keys, suffix).await,
            None => Ok(None),
        }
    }

    fn keys_of(&self, suffix: &CodeSuffix) -> Option<&PartitionKeys> {
        let keys = self.keys.get(usize::from(suffix.partition()))?;
        Some(keys)
    }
}

/// One cart partition.
struct Partition<R, P> {
    sale: Arc<SaleId>,
    best_effort: bool,
    number: u16,
    keys: Arc<PartitionKeys>,
    stream: Arc<str>,
    log: Arc<AttemptLog>,
    context: Arc<Context<R, P>>,
}

impl<R: Redis, P: Postgres> Partition<R, P> {
    async fn add(&self, batch: Vec<AddRequest>) -> Result<Vec<Added>, BackendError> {
        let mut requests = Vec::with_capacity(batch.len());
        let mut suffixes = Vec::with_capacity(batch.len());
        let now = self.context.clock.now();
        for AddRequest {
            user,
            item,
            request_id,
            ..
        } in &batch
        {
            let request = self.log.draw(Some(user), Some(item), request_id);
            requests.push(request);
            suffixes.push(CodeSuffix::generate(self.number, now, &self.context.random));
        }
        let is_dropped = self.best_effort && !self.log.has_room();
        let text = if is_dropped {
            self.log.count_dropped(requests.len());
            String::new()
        } else {
            self.keys.format.encode_requests(requests.iter())
        };
        let adds = batch.iter().zip(&suffixes).map(|(request, suffix)| Add {
            user: request.user.as_str(),
            new_suffix: *suffix,
            idx: request.idx,
        });
        let (entry, answers) = add_to_cart(&self.context.redis, &self.keys, &text, adds).await?;
        if !is_dropped {
            self.keep(entry, requests, &answers);
        }
        Ok(answers)
    }

    fn keep(&self, entry: String, requests: Vec<AttemptRequest>, answers: &[Added]) {
        let attempts = requests.into_iter().zip(answers);
        let attempts =
            attempts.map(|(request, added)| Attempt::decided(request, self.sale.clone(), added));
        self.log.keep(Answered {
            stream: self.stream.clone(),
            entry,
            attempts: attempts.collect(),
        });
    }
}
