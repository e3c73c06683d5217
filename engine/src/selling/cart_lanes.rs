//! The lanes of carts: one for each cart partition of a sale. Checkouts and purchases that arrive while
//! a script call is on its way share the next one.
//!
//! Guarantees: what [`CartLanes::add`] returns is in the partition's attempt stream first. A cart
//! reserves nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::domain::attempt::{Attempt, AttemptRequest};
use crate::domain::cart::{Added, Cart};
use crate::domain::code::CodeSuffix;
use crate::domain::error::{BackendError, SharedError};
use crate::domain::ids::{ItemId, RequestId, UserId};
use crate::domain::sale::{Sale, SaleId};
use crate::postgres::operations::Postgres;
use crate::redis::codec::Format;
use crate::redis::commands::Redis;
use crate::redis::keys::PartitionKeys;
use crate::redis::scripts::read_cart::read_cart;
use crate::redis::scripts::update_carts::{Add, CartUpdates, update_carts};
use crate::selling::attempt_log::{Answered, AttemptLog};
use crate::selling::cart_restoration::CartRestoration;
use crate::selling::context::Context;
use crate::selling::lane::{Lane, LaneLimits};
use crate::selling::open_calls::OpenCall;

const LANE_LIMITS: LaneLimits = LaneLimits {
    batch: 64,
    queue: 4_096,
    pause: Duration::ZERO,
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

/// What a request does to a cart.
#[derive(Debug)]
enum CartRequest {
    /// A checkout.
    Add(AddRequest),
    /// A purchase begins.
    Freeze(CodeSuffix),
}

/// What became of a request.
#[derive(Debug)]
enum CartAnswer {
    Added(Added),
    Frozen(Option<Cart>),
}

/// The lanes of all cart partitions of a sale.
#[derive(Debug)]
pub(crate) struct CartLanes<R> {
    partitions: Vec<PartitionLane>,
    redis: R,
}

/// The lane of a partition, and what restores its carts.
#[derive(Debug)]
struct PartitionLane {
    keys: Arc<PartitionKeys>,
    lane: Lane<CartRequest, CartAnswer>,
    /// Notified when a call finds that the carts may not be whole.
    promoted: Arc<Notify>,
}

impl<R: Redis> CartLanes<R> {
    /// Starts a lane for every partition, and keeps its carts whole.
    pub(crate) fn start<P: Postgres>(
        sale: &Sale,
        format: Format,
        context: &Arc<Context<R, P>>,
        log: &Arc<AttemptLog>,
        stop: &CancellationToken,
    ) -> Self {
        let (sale, sale_id) = (Arc::new(sale.clone()), Arc::new(sale.id.clone()));
        let keys = PartitionKeys::of_sale(&sale_id, sale.partitions, format);
        let partitions = (0..).zip(keys).map(|(number, keys)| {
            let keys = Arc::new(keys);
            let promoted = Arc::<Notify>::default();
            let restoration = CartRestoration {
                sale: sale.clone(),
                number,
                keys: keys.clone(),
                promoted: promoted.clone(),
                context: context.clone(),
            };
            context.tasks.spawn(restoration.run(stop.clone()));
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
                async move { partition.update(batch).await }
            };
            PartitionLane {
                keys,
                lane: Lane::start("cart lane", LANE_LIMITS, &context.tasks, stop, call),
                promoted,
            }
        });
        Self {
            partitions: partitions.collect(),
            redis: context.redis.clone(),
        }
    }

    /// Adds an item to a user's cart, which is in `partition`.
    pub(crate) async fn add(
        &self,
        partition: u16,
        request: AddRequest,
    ) -> Result<Added, SharedError> {
        let lane = self.partitions.get(usize::from(partition));
        let lane = lane.ok_or_else(|| {
            BackendError::unexpected("cart partition", "one that the sale has", partition)
        })?;
        match lane.ask(CartRequest::Add(request)).await? {
            CartAnswer::Added(added) => Ok(added),
            CartAnswer::Frozen(cart) => Err(unexpected_answer(cart)),
        }
    }

    /// Freezes the cart of a code; none for a code that Redis does not hold, where it holds all that
    /// there are.
    pub(crate) async fn freeze(&self, suffix: &CodeSuffix) -> Result<Option<Cart>, SharedError> {
        let Some(partition) = self.partition_of(suffix) else {
            return Ok(None);
        };
        match partition.ask(CartRequest::Freeze(*suffix)).await? {
            CartAnswer::Frozen(cart) => Ok(cart),
            CartAnswer::Added(added) => Err(unexpected_answer(added)),
        }
    }

    /// Reads the cart of a code, open or frozen, without changing it.
    pub(crate) async fn read(&self, suffix: &CodeSuffix) -> Result<Option<Cart>, BackendError> {
        let Some(partition) = self.partition_of(suffix) else {
            return Ok(None);
        };
        let cart = read_cart(&self.redis, &partition.keys, suffix).await;
        cart.inspect_err(|error| partition.note(error))
    }

    fn partition_of(&self, suffix: &CodeSuffix) -> Option<&PartitionLane> {
        self.partitions.get(usize::from(suffix.partition()))
    }
}

/// The answer to another request than was asked.
fn unexpected_answer(found: impl std::fmt::Debug) -> SharedError {
    let expected = "an answer to the request";
    Arc::new(BackendError::unexpected("cart lane", expected, found))
}

impl PartitionLane {
    async fn ask(&self, request: CartRequest) -> Result<CartAnswer, SharedError> {
        let answer = self.lane.ask(request).await;
        answer.inspect_err(|error| self.note(error))
    }

    /// Reacts to the error of a script: carts that may not be whole are restored at once, not at the
    /// next check.
    fn note(&self, error: &BackendError) {
        if matches!(error, BackendError::Promoted) {
            self.promoted.notify_one();
        }
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
    async fn update(&self, batch: Vec<CartRequest>) -> Result<Vec<CartAnswer>, BackendError> {
        let mut adds = Vec::with_capacity(batch.len());
        let mut freezes = Vec::new();
        for request in &batch {
            match request {
                CartRequest::Add(add) => adds.push(add),
                CartRequest::Freeze(suffix) => freezes.push(*suffix),
            }
        }
        let requests: Vec<AttemptRequest> = adds
            .iter()
            .map(|add| {
                self.log
                    .draw(Some(&add.user), Some(&add.item), &add.request_id)
            })
            .collect();
        let is_dropped = self.best_effort && !self.log.has_room();
        let text = if is_dropped {
            self.log.count_dropped(requests.len());
            String::new()
        } else {
            self.keys.format.encode_requests(requests.iter())
        };
        let now = self.context.clock.now();
        let adds: Vec<Add> = adds
            .into_iter()
            .map(|add| Add {
                user: add.user.as_str(),
                new_suffix: CodeSuffix::generate(self.number, now, &self.context.random),
                idx: add.idx,
            })
            .collect();
        let updates = CartUpdates {
            requests: &text,
            adds: &adds,
            freezes: &freezes,
        };
        // Open until Postgres has the attempts. A call that fails is closed: nothing is answered.
        let call = self.context.open_calls.begin();
        let updated = update_carts(&self.context.redis, &self.keys, &updates).await?;
        if !is_dropped && !requests.is_empty() {
            self.keep(updated.entry, requests, &updated.added, call);
        }
        let mut added = updated.added.into_iter().map(CartAnswer::Added);
        let mut frozen = updated.frozen.into_iter().map(CartAnswer::Frozen);
        let answers = batch.iter().filter_map(|request| match request {
            CartRequest::Add(_) => added.next(),
            CartRequest::Freeze(_) => frozen.next(),
        });
        Ok(answers.collect())
    }

    fn keep(
        &self,
        entry: String,
        requests: Vec<AttemptRequest>,
        answers: &[Added],
        call: OpenCall,
    ) {
        let attempts = requests.into_iter().zip(answers);
        let attempts =
            attempts.map(|(request, added)| Attempt::decided(request, self.sale.clone(), added));
        self.log.keep(Answered {
            stream: self.stream.clone(),
            entry,
            attempts: attempts.collect(),
            _call: Some(call),
        });
    }
}
